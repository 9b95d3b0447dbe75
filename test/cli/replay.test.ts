import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { packetBytes } from "../../src/wire/capture.js";
import { encodePcap } from "../../src/wire/pcap.js";
import { readCapture } from "../../src/wire/read-capture.js";
import { hopwise } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "hopwise-"));
afterAll(() => rmSync(folder, { recursive: true }));

const golden = "test/golden/captures/worker-1.pcapng";
const atNode = "--at veth4a2e5ef7=worker-1:veth4a2e5ef7 --at eth0=worker-1:eth0";
const demo = `${golden} -w demo:shop ${atNode}`;

/** Two connections of web-0, as its node's end of the cable saw them. */
const web = join(folder, "web.pcap");
const source = readCapture(golden, readFileSync(golden));
writeFileSync(
  web,
  encodePcap(
    source.packets
      .filter(({ number }) => [27, 28, 29, 37, 38].includes(number))
      .map((packet) => ({
        time: Math.round(packet.time / 1000),
        bytes: packetBytes(source, packet),
      })),
  ),
);

/** Without where the file is. */
function shown(text: string): string {
  return text.replaceAll(folder, "");
}

describe("hopwise replay", () => {
  it("tells what becomes of each flow, and ends with 1 when one did not get through", async () => {
    const { out, err, exit } = await hopwise(
      `replay ${web} -w demo:shop --at worker-1:veth4a2e5ef7 --filter tcp`,
    );
    expect(out).toBe(`PKT   TIME      FLOW                                  VERDICT
  1   0.000000  10.244.1.5:54954 > 10.96.44.10:80     ok DELIVERED shop/api-1
  4   0.090927  10.244.1.5:45330 > 10.96.44.20:5432   !  DENIED shop/db-0 ingress
5 packets read, 2 flows: 1 delivered, 1 denied   (first packet of each flow; --all replays every packet)
`);
    expect(err).toBe("");
    expect(exit).toBe(1);
  });

  it("replays every packet with --all, and compares what came out", async () => {
    const { out } = await hopwise(`replay ${web} -w demo:shop --at worker-1:veth4a2e5ef7 --all`);
    expect(out).toContain(
      "  5   0.091103  10.96.44.20 > 10.244.1.5 icmp 3/3     ok AS-CAPTURED brought by packet 4\n",
    );
    expect(out).toContain("5 packets read, 5 replayed: ");
  });

  it("ends with 0 when everything got through, and with 3 when an answer is not certain", async () => {
    const pings = await hopwise(`replay ${demo} --filter icmp.type==8 -q`);
    expect(pings.out).toContain("2 flows: 1 delivered, 1 dropped");
    const one = await hopwise(`replay ${demo} --filter "ip.dst == 192.168.10.12" -q`);
    expect(one.out).toMatch(/^68 packets read, 1 flow: 1 delivered, \d+ left out by the filter/);
    expect(one.exit).toBe(0);
    const nowhere = await hopwise(`replay ${web} -w demo:shop`);
    expect(nowhere.out).toContain(
      "?  UNKNOWN interface 0 of the capture is no device of the world",
    );
    expect(nowhere.exit).toBe(3);
  });

  it("filters by packets, by what decided, and by the bytes", async () => {
    const rows = async (filter: string): Promise<readonly number[]> => {
      const { out } = await hopwise(
        `replay ${web} -w demo:shop --at worker-1:veth4a2e5ef7 --all -o jsonl --filter "${filter}"`,
      );
      return out
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as { pkt: number }).pkt);
    };
    expect(await rows("verdict == denied")).toEqual([4]);
    expect(await rows("tcp.dstport == 5432 or icmp")).toEqual([4, 5]);
    expect(await rows("after.ip.dst == 10.244.2.6 and policy == shop/db-from-api")).toEqual([4]);
    expect(await rows("after.ip.dst == 10.244.2.6 and node == worker-2")).toEqual([4]);
  });

  it("shows one packet step by step", async () => {
    const { out, exit } = await hopwise(
      `replay ${web} -w demo:shop --at worker-1:veth4a2e5ef7 --packet 4`,
    );
    expect(out).toMatch(
      /^packet 4 {3}0\.090927 s {3}10\.244\.1\.5:45330 > 10\.96\.44\.20:5432\n {2}# WHERE/,
    );
    expect(out).toContain("netpol ingress shop/db-0          ! DENIED");
    expect(out).toContain("WHY  hopwise why shop/web-0 shop/db:5432 -w demo:shop");
    expect(out).not.toContain("SENDER SEES");
    expect(exit).toBe(1);
  });

  it("is one JSON document", async () => {
    const { out } = await hopwise(
      `replay ${web} -w demo:shop --at worker-1:veth4a2e5ef7 --all --json`,
    );
    const document = JSON.parse(out) as { readonly rows: readonly object[] };
    expect(document).toMatchObject({ v: 1, kind: "Replay", packets: 5, all: true, exit: 1 });
    expect(document.rows[3]).toMatchObject({
      pkt: 4,
      at: { ns: "worker-1", dev: "veth4a2e5ef7" },
      verdict: "DENIED",
      where: "shop/db-0 ingress",
      exit: 1,
    });
    expect(document.rows[4]).toMatchObject({ as: "seen", by: 4, verdict: "AS-CAPTURED" });
  });

  it("goes through a world that was changed", async () => {
    const patch = join(folder, "all.yaml");
    writeFileSync(
      patch,
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db-from-api, namespace: shop}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [{}]}\n",
    );
    const { out, exit } = await hopwise(
      `replay ${web} -w demo:shop --at worker-1:veth4a2e5ef7 --patch ${patch}`,
    );
    expect(shown(out)).toContain("what if: /all.yaml applied\n");
    expect(out).toContain("10.244.1.5:45330 > 10.96.44.20:5432   ok DELIVERED shop/db-0\n");
    expect(exit).toBe(0);
  });

  it.each([
    ["no-such.pcap -w demo:shop", `error: no file "no-such.pcap"\n`],
    [
      "package.json -w demo:shop",
      "package.json: byte 0: error: unknown file format\nhelp: hopwise reads pcap and pcapng",
    ],
    [
      `${golden} -w demo:shop --at worker-1`,
      `error: "worker-1" is no place to replay at\nhelp: say NODE:DEVICE`,
    ],
    [
      `${golden} -w demo:shop --at worker-1:eth9`,
      `error: no device "eth9" in worker-1\nhelp: did you mean eth0?\n`,
    ],
    [
      `${golden} -w demo:shop --packet 99`,
      `error: there is no packet 99 in ${golden}\nhelp: it has packets 1 to 68\n`,
    ],
    [`${golden} -w demo:shop --filter "ip.dts == 1"`, "help: did you mean ip.dst?\n"],
  ])("replay %s ends with 2 and says why", async (line, message) => {
    const { err, out, exit } = await hopwise(`replay ${line}`);
    expect(err).toContain(message);
    expect(out).toBe("");
    expect(exit).toBe(2);
  });

  it("places a mistake in a capture by its byte for programs too", async () => {
    const { out, exit } = await hopwise("replay package.json -w demo:shop --json");
    expect(JSON.parse(out)).toMatchObject({
      kind: "Error",
      errors: [{ code: "CAPTURE", file: "package.json", byte: 0, message: "unknown file format" }],
    });
    expect(exit).toBe(2);
  });
});
