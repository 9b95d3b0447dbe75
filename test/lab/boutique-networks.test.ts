import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Recording } from "../../src/core/recording.js";
import { traceRequest } from "../../src/lab/trace.js";
import { loadWorld, type World } from "../../src/lab/world.js";
import { tracePcapng } from "../../src/view/pcapng.js";
import { formatMinimal } from "../../src/view/text.js";
import { viewOf } from "../../src/view/trace-view.js";
import { flannelConfigMap } from "../kube/flannel-texts.js";

/* Google's Online Boutique with its policies, on three workers that flannel connects in two ways. */

const directory = new URL("../golden/worlds/online-boutique/", import.meta.url);
const nodes = [1, 2, 3]
  .map(
    (n) =>
      `---\napiVersion: v1\nkind: Node\nmetadata: {name: worker-${n}}\nstatus: {addresses: [{type: InternalIP, address: 192.168.10.1${n}}]}\n`,
  )
  .join("");

function boutique(backend: string): World {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".yaml"))
    .toSorted();
  const texts = files.map((file) => ({
    file,
    text: readFileSync(new URL(file, directory), "utf8"),
  }));
  const flannel = { file: "flannel.yaml", text: flannelConfigMap(`{"Type": "${backend}"}`) };
  return loadWorld([...texts, { file: "nodes.yaml", text: nodes }, flannel], backend);
}

/** Calls of the application, two that its policies refuse, and a host outside. */
const calls = [
  ["default/frontend", "default/productcatalogservice"],
  ["default/frontend", "default/cartservice"],
  ["default/checkoutservice", "default/paymentservice"],
  ["default/cartservice", "default/redis-cart"],
  ["default/emailservice", "default/redis-cart"],
  ["default/frontend", "default/redis-cart"],
  ["worker-1", "default/frontend"],
] as const;

function call(world: World, source: string, destination: string): Recording {
  return traceRequest(world, {
    source,
    destination: `svc:${destination}`,
    protocol: "tcp",
    sourcePort: 40_000,
    ttl: undefined,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
  });
}

/** How it ended, and where: the verdict, and the namespaces in which a packet was delivered or dropped. */
function ending(recording: Recording): string {
  const verdict = formatMinimal(viewOf(recording)).trim().split("\n").at(-1) ?? "";
  const ends = recording.events.flatMap((event) =>
    event.kind === "delivered" || event.kind === "dropped" ? `${event.kind} ${event.ns}` : [],
  );
  return [verdict, ...new Set(ends)].join(", ");
}

const crossNode = (recording: Recording): boolean =>
  recording.events.some((event) => event.kind === "device" && event.dev === "flannel.1");

function hasTshark(): boolean {
  try {
    execFileSync("tshark", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("Online Boutique on three nodes", () => {
  const vxlan = boutique("vxlan");
  const hostGw = boutique("host-gw");
  const overVxlan = calls.map(([source, destination]) => call(vxlan, source, destination));

  it("has the same verdicts over flannel's VXLAN and its host-gw", () => {
    const endings = overVxlan.map(ending);
    expect(endings).toEqual(
      calls.map(([source, destination]) => ending(call(hostGw, source, destination))),
    );
    expect(endings.filter((text) => text.startsWith("DELIVERED"))).toHaveLength(5);
    expect(endings.filter((text) => text.startsWith("DENIED"))).toHaveLength(2);
  });

  // In CI tshark has to be there.
  it.skipIf(!hasTshark() && process.env["CI"] === undefined)(
    "gives captures in which tshark finds the calls' packets inside of VXLAN",
    () => {
      const tunnelled = overVxlan.find(crossNode);
      if (tunnelled === undefined) throw new Error("all calls stay on their node");
      const folder = mkdtempSync(join(tmpdir(), "hopwise-boutique-"));
      try {
        const file = join(folder, "trace.pcapng");
        writeFileSync(file, tracePcapng(viewOf(tunnelled)));
        const shown = "vxlan&&!icmp -T fields -e vxlan.vni -e ip.src -e _ws.malformed";
        const lines = execFileSync(
          "tshark",
          `-r ${file} -d udp.port==8472,vxlan -Y ${shown}`.split(" "),
          { encoding: "utf8", stdio: "pipe" },
        ).trim();
        for (const line of lines.split("\n"))
          expect(line).toMatch(/^1\t192\.168\.10\.1\d,(10\.244|192\.168\.10)\.\d+\.\d+\t?$/);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
