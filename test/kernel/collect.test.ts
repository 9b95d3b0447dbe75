import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Recording } from "../../src/core/recording.js";
import { collectScript } from "../../src/lab/collect-script.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import type { Lab } from "../../src/lab/lab.js";
import { parseLab } from "../../src/lab/lab-file.js";
import { labScript, netnsName } from "../../src/lab/shell.js";
import { traceRequest } from "../../src/lab/trace.js";
import { loadWorld } from "../../src/lab/world.js";
import { verdictName } from "../../src/view/outcome.js";
import { viewOf } from "../../src/view/trace-view.js";
import { formatIpv4 } from "../../src/wire/ip.js";
import { missingJudge } from "./judge.js";

const missing = missingJudge();
const labs = new URL("../../topologies/labs/", import.meta.url);

/** Builds a lab in real namespaces, runs the node part of the script in each of them, and gives the files it wrote. */
function collectFrom(lab: Lab, prefix: string): readonly { file: string; text: string }[] {
  const folder = mkdtempSync(join(tmpdir(), "hopwise-collect-"));
  const script = join(folder, "lab.sh");
  writeFileSync(script, labScript(lab, { prefix }));
  const collect = join(folder, "collect.sh");
  writeFileSync(collect, collectScript({ nodes: undefined }));
  const programs: ChildProcess[] = [];
  try {
    execFileSync("sh", [script], { stdio: ["ignore", "ignore", "pipe"] });
    for (const ns of lab.namespaces) programs.push(...startListeners(lab, ns, prefix, folder));
    for (const ns of lab.namespaces) {
      const name = netnsName(ns, prefix);
      execFileSync("ip", ["netns", "exec", name, "sh", collect, "node", join(folder, "nodes")], {
        env: { ...process.env, HOPWISE_NODE: name, HOPWISE_NETNS: "" },
        stdio: ["ignore", "ignore", "pipe"],
      });
    }
    return readdirSync(join(folder, "nodes"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
      .map((path) => ({ file: path.slice(folder.length + 1), text: readFileSync(path, "utf8") }));
  } finally {
    for (const program of programs) program.kill("SIGKILL");
    execFileSync("sh", [script, "down"], { stdio: "ignore" });
    rmSync(folder, { recursive: true, force: true });
  }
}

const LISTEN = `
import socket, sys, time
held = []
for word in sys.argv[2:]:
    protocol, address, port = word.split("/")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    one = socket.socket(socket.AF_INET, kind)
    one.bind((address, int(port)))
    if protocol == "tcp": one.listen()
    held.append(one)
open(sys.argv[1], "w").close()
time.sleep(60)
`;

/** Real sockets for the lab's programs, so that \`ss\` has something to tell. */
function startListeners(
  lab: Lab,
  ns: string,
  prefix: string,
  folder: string,
): readonly ChildProcess[] {
  const words = lab.listeners
    .filter((one) => one.ns === ns)
    .map(({ protocol, address, port }) => `${protocol}/${formatIpv4(address)}/${port}`);
  if (words.length === 0) return [];
  const name = netnsName(ns, prefix);
  const ready = join(folder, `${name}.ready`);
  const argv = ["netns", "exec", name, "python3", "-c", LISTEN, ready, ...words];
  const program = spawn("ip", argv, { stdio: "ignore" });
  for (let tries = 0; !existsSync(ready) && tries < 200; tries++)
    execFileSync("sleep", ["0.05"], { stdio: "ignore" });
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

function compare(lab: Lab, requests: readonly Parameters<typeof traceRequest>[1][]): void {
  const prefix = `hwc${process.pid}-`;
  const files = collectFrom(lab, prefix);
  const recorded = loadWorld(files, "dump");
  if (recorded.kind !== "recorded") throw new Error("no recorded world");
  const live = { kind: "lab", name: lab.name, files: [], lab } as const;
  const plain = (ns: string): string => netnsName(ns).replace(prefix, "");
  for (const request of requests) {
    const inDump = { ...request, source: netnsName(request.source, prefix) };
    expect(story(traceRequest(recorded, inDump), plain)).toEqual(
      story(traceRequest(live, request), plain),
    );
  }
}

function requestsOf(lab: Lab): readonly Parameters<typeof traceRequest>[1][] {
  return lab.probes.map(({ ns, address, port, protocol, ttl }, index) => ({
    source: ns,
    destination: protocol === "icmp" ? formatIpv4(address) : `${formatIpv4(address)}:${port}`,
    protocol,
    sourcePort: 40_000 + index,
    ttl,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
  }));
}

/**
 * Labs left out. macvlan devices are not built from dumps yet: a trace through them ends UNKNOWN and names the device.
 * two-tests-printed-as-one is about rules that iptables-save prints otherwise than the kernel has them: no dump tells.
 */
const left = /^macvlan-|^two-tests-printed-as-one/;

describe.runIf(missing === undefined)("a dump made by hopwise collect's script", () => {
  const files = readdirSync(labs).toSorted();
  it(`is compared for all labs but ${files.filter((file) => left.test(file)).join(", ")}`, () => {
    expect(files.filter((file) => !left.test(file)).length).toBeGreaterThan(25);
  });

  for (const file of files.filter((name) => !left.test(name))) {
    it(`of ${file} gives the traces of the lab itself`, () => {
      const lab = parseLab(file, readFileSync(new URL(file, labs), "utf8"));
      compare(lab, requestsOf(lab));
    });
  }

  it("of demo:shop, namespaces as nodes, gives the traces of the lab itself", () => {
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
    compare(lab, [
      request("shop/web-0", "10.96.44.20:5432", 40_001),
      request("shop/web-0", "10.96.44.10:80", 40_002),
      request("cp-1", "192.168.10.12:30080", 40_003),
      request("worker-2", "10.96.44.30:80", 40_004),
    ]);
  });
});
