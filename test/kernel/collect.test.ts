import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, type ExpectStatic, it } from "vitest";
import type { Recording } from "../../src/core/recording.js";
import { collectScript } from "../../src/lab/collect-script.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { isRequest, type Lab, usesIpv6 } from "../../src/lab/lab.js";
import { parseLab } from "../../src/lab/lab-file.js";
import { labScript, netnsName } from "../../src/lab/shell.js";
import { traceRequest } from "../../src/lab/trace.js";
import { loadWorld } from "../../src/lab/world.js";
import { verdictName } from "../../src/view/outcome.js";
import { viewOf } from "../../src/view/trace-view.js";
import { formatIp, type IpAddress } from "../../src/wire/ip.js";
import { missingJudge } from "./judge.js";
import { run } from "./process.js";

const missing = missingJudge();
const labs = new URL("../../topologies/labs/", import.meta.url);

/** Builds a lab in real namespaces, runs the node part of the script in each of them, and gives the files it wrote. */
async function collectFrom(
  lab: Lab,
  prefix: string,
): Promise<readonly { file: string; text: string }[]> {
  const folder = mkdtempSync(join(tmpdir(), "hopwise-collect-"));
  const script = join(folder, "lab.sh");
  writeFileSync(script, labScript(lab, { prefix }));
  const collect = join(folder, "collect.sh");
  writeFileSync(collect, collectScript({ nodes: undefined }));
  const programs: ChildProcess[] = [];
  try {
    await run("sh", [script]);
    for (const ns of lab.namespaces)
      programs.push(...(await startListeners(lab, ns, prefix, folder)));
    // Until then IPv6 addresses are not known to be nobody else's, and are listed so.
    if (usesIpv6(lab)) await setTimeout(2_500);
    for (const ns of lab.namespaces) {
      const name = netnsName(ns, prefix);
      const argv = ["netns", "exec", name, "sh", collect, "node", join(folder, "nodes")];
      await run("ip", argv, undefined, { ...process.env, HOPWISE_NODE: name, HOPWISE_NETNS: "" });
    }
    return readdirSync(join(folder, "nodes"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
      .map((path) => ({ file: path.slice(folder.length + 1), text: readFileSync(path, "utf8") }));
  } finally {
    for (const program of programs) program.kill("SIGKILL");
    await run("sh", [script, "down"]);
    rmSync(folder, { recursive: true, force: true });
  }
}

const LISTEN = `
import socket, sys, time
held = []
for word in sys.argv[2:]:
    protocol, address, port = word.split("/")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    # A program of hopwise's labs listens in one family.
    if ":" in address: one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind((address, int(port)))
    if protocol == "tcp": one.listen()
    held.append(one)
open(sys.argv[1], "w").close()
time.sleep(60)
`;

/** Real sockets for the lab's programs, so that \`ss\` has something to tell. */
async function startListeners(
  lab: Lab,
  ns: string,
  prefix: string,
  folder: string,
): Promise<readonly ChildProcess[]> {
  const words = lab.listeners
    .filter((one) => one.ns === ns)
    .map(({ protocol, address, port }) => `${protocol}/${formatIp(address)}/${port}`);
  if (words.length === 0) return [];
  const name = netnsName(ns, prefix);
  const ready = join(folder, `${name}.ready`);
  const argv = ["netns", "exec", name, "python3", "-c", LISTEN, ready, ...words];
  const program = spawn("ip", argv, { stdio: "ignore" });
  for (let tries = 0; !existsSync(ready) && tries < 200; tries++) await setTimeout(50);
  return [program];
}

/** What both traces must agree in: the verdict, every rule that was looked at, every route, every frame that a device sent. */
function story(recording: Recording, nameOf: (ns: string) => string): readonly string[] {
  const view = viewOf(recording);
  // A tunnel's source port is a hash under a secret of the machine.
  const withoutHash = (line: string): string =>
    /capsulates/.test(line) ? line.replaceAll(/:\d{5}\b/g, ":port") : line;
  const lines = view.steps.map((step) =>
    withoutHash(`${nameOf(step.ns)} ${step.dev ?? ""} ${step.step} ${step.effect}`),
  );
  return [
    verdictName(view.verdict),
    // A save names all base chains of a table, used or not; those without rules say nothing but their policy.
    ...lines
      .filter((line) => !/ policy ACCEPT after 0 rules/.test(line))
      .map((line) => line.replaceAll(/=> \S+ (\S+)$/g, "=> $1").trim()),
  ];
}

let compared = 0;

async function compare(
  lab: Lab,
  requests: readonly Parameters<typeof traceRequest>[1][],
  told: ExpectStatic,
): Promise<void> {
  const prefix = `hwc${process.pid}-${compared++}-`;
  const files = await collectFrom(lab, prefix);
  const recorded = loadWorld(files, "dump");
  if (recorded.kind !== "recorded") throw new Error("no recorded world");
  const live = { kind: "lab", name: lab.name, files: [], lab } as const;
  const plain = (ns: string): string => netnsName(ns).replace(prefix, "");
  for (const request of requests) {
    const inDump = { ...request, source: netnsName(request.source, prefix) };
    told(story(traceRequest(recorded, inDump), plain)).toEqual(
      story(traceRequest(live, request), plain),
    );
  }
}

function hostText(address: IpAddress): string {
  return typeof address === "bigint" ? `[${formatIp(address)}]` : formatIp(address);
}

function requestsOf(lab: Lab): readonly Parameters<typeof traceRequest>[1][] {
  return lab.probes.filter(isRequest).map(({ ns, address, port, protocol, ttl }, index) => ({
    source: ns,
    destination: protocol === "icmp" ? formatIp(address) : `${hostText(address)}:${port}`,
    protocol,
    sourcePort: 40_000 + index,
    ttl,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
  }));
}

/**
 * Labs left out.
 * v6-addresses-go-with-their-link has a sender without an address, v6-link-local and v6-multicast go to what a dump has no place for,
 * v6-clusterip-dnat draws a port at random.
 * Address labels are in no dump. Groups that programs are in, programs that do not accept, and whether a socket is transparent are in no dump; a veth with both ends in one namespace is taken
 * for two wires that leave.
 * two-tests-printed-as-one is about rules that iptables-save prints otherwise than the kernel has them: no dump tells.
 */
const left =
  /tproxy|^v6-addresses-go-with-their-link|^v6-link-local|^v6-multicast|^v6-group-queries|^v6-address-labels|^v6-clusterip-dnat|^two-tests-printed-as-one|^igmp-|^multicast-|^mcast-snooping|^accept-queue|^mark-on-a-veth-inside/;
/** Labs that differ from others in their rules alone; they are compared when `HOPWISE_COLLECT=all` asks for it. */
const alike = /^(match|target|reject-with|fragments|snat|dnat|rp-filter|icmp|nat|masquerade)-/;
const all = process.env["HOPWISE_COLLECT"] === "all";
/** Labs of IPv6 that are always compared: each waits until its addresses are known to be nobody else's. */
const chosen6 = /^v6-(anycast|bridge|masquerade|rules|source-selection)\.yaml$/;

describe.runIf(missing === undefined)("a dump made by hopwise collect's script", () => {
  const read = (file: string): Lab => parseLab(file, readFileSync(new URL(file, labs), "utf8"));
  const possible = readdirSync(labs)
    .toSorted()
    .filter((file) => file.endsWith(".yaml") && !left.test(file))
    .filter((file) => !usesIpv6(read(file)) || requestsOf(read(file)).length > 0)
    .toSorted((a, b) => Number(usesIpv6(read(a))) - Number(usesIpv6(read(b))));
  const isChosen = (file: string, index: number): boolean =>
    !usesIpv6(read(file)) && !alike.test(file) && index % 5 === 0;
  const files = possible.filter(
    (file, index) => all || chosen6.test(file) || isChosen(file, index),
  );
  it(`is compared for ${files.length} of ${possible.length} labs`, () => {
    expect(files.length).toBeGreaterThan(25);
  });

  for (const file of files) {
    it.concurrent(`of ${file} gives the traces of the lab itself`, async ({ expect: told }) => {
      const lab = read(file);
      await compare(lab, requestsOf(lab), told);
    });
  }

  it("of demo:shop, namespaces as nodes, gives the traces of the lab itself", async () => {
    const folder = new URL("../../topologies/shop/", import.meta.url);
    const files = readdirSync(folder)
      .filter((file) => file.endsWith(".yaml"))
      .toSorted()
      .map((file) => ({ file, text: readFileSync(new URL(file, folder), "utf8") }));
    const world = loadWorld(files, "demo:shop");
    if (world.kind !== "cluster") throw new Error("demo:shop is no cluster");
    const { lab } = clusterLab(world);
    const request = (source: string, destination: string, sourcePort: number) =>
      ({
        source,
        destination,
        protocol: "tcp",
        sourcePort,
        ttl: undefined,
        seed: 1,
        endpoint: undefined,
        oneWay: false,
      }) as const;
    const requests = [
      request("shop/web-0", "10.96.44.20:5432", 40_001),
      request("shop/web-0", "10.96.44.10:80", 40_002),
      request("cp-1", "192.168.10.12:30080", 40_003),
      request("worker-2", "10.96.44.30:80", 40_004),
    ];
    await compare(lab, requests, expect);
  });
});
