import { describe, expect, it } from "vitest";
import type { IpFamily } from "../../../src/kube/proxy/addresses.js";
import { buildCluster } from "../../../src/kube/cluster.js";
import { loadObjects } from "../../../src/kube/load.js";
import { proxyObjects } from "../../../src/kube/proxy/loaded.js";
import { renderNodeIptables } from "../../../src/kube/proxy/node-rules.js";
import {
  serviceObjects,
  type ServiceObjects,
  serviceState,
} from "../../../src/kube/proxy/service-state.js";
import { renderIptablesSync, serviceChanges } from "../../../src/kube/proxy/sync.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { randomClusterText } from "../../kube/random-cluster.js";
import { nodeA, plainConfig, service, slice } from "./world.js";

const objectsOf = (...input: Parameters<typeof service>[]): ServiceObjects =>
  serviceObjects({ services: input.map((one) => service(...one)), endpointSlices: [] }, 4);

/** What kube-proxy would know of a random cluster. */
function randomObjects(seed: number, family: IpFamily): ServiceObjects {
  const text = randomClusterText(seed, { sctp: true, policies: false, dualStack: true });
  const cluster = buildCluster(loadObjects([{ file: "random.json", text }]));
  return serviceObjects(proxyObjects(cluster.services, cluster.endpointSlices), family);
}

/** The rules that a node has after texts were restored one after the other: chains by name, each with its rules. */
function rulesAfter(family: IpFamily, ...texts: readonly string[]): readonly string[] {
  const program = family === 6 ? "ip6tables" : "iptables";
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("node");
  for (const stdin of texts) {
    const result = runTool(sim, {
      ns: "node",
      argv: [`${program}-restore`, "--noflush", "--counters"],
      stdin,
    });
    expect(result.stderr).toBe("");
  }
  const saved = runTool(sim, { ns: "node", argv: [`${program}-save`] }).stdout.split("\n");
  const table = (line: string, index: number): string =>
    saved.slice(0, index).findLast((one) => one.startsWith("*")) ?? line;
  return saved
    .flatMap((line, index) =>
      /^[:-]/.test(line) ? [[table(line, index), line, index] as const] : [],
    )
    .toSorted(
      ([a, one, m], [b, two, n]) => order(a, b) || order(chainOf(one), chainOf(two)) || m - n,
    )
    .map(([name, line]) => `${name} ${line}`);
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const chainOf = (line: string): string => /^(?::|-A )(\S+)/.exec(line)?.[1] ?? line;

const first = (objects: ServiceObjects): string =>
  renderNodeIptables(serviceState(objects, nodeA), nodeA, plainConfig).text;

describe("a later sync of kube-proxy", () => {
  it.each([4, 6] as const)(
    "comes to the rules that a fresh node would get, for random clusters of IPv%i",
    (family) => {
      for (let seed = 1; seed <= 14; seed += 2) {
        const before = randomObjects(seed, family);
        const after = randomObjects(seed + 1, family);
        const sync = renderIptablesSync(before, after, nodeA, plainConfig).text;
        expect(rulesAfter(family, first(before), sync)).toEqual(rulesAfter(family, first(after)));
      }
    },
  );

  it("leaves the chains of Services that did not change out", () => {
    const before = objectsOf(["one"], ["two", { clusterIP: "10.96.1.2" }]);
    const endpoints = [{ addresses: ["10.244.1.7"] }];
    const after = serviceObjects(
      {
        services: [service("one"), service("two", { clusterIP: "10.96.1.2" })],
        endpointSlices: [slice("two", endpoints)],
      },
      4,
    );
    expect(serviceChanges(before, after)).toEqual({
      services: new Set(["default/two"]),
      udpEndpoints: false,
    });
    const later = serviceObjects(
      {
        services: [
          service("one", { clusterIP: "10.96.1.3" }),
          service("two", { clusterIP: "10.96.1.2" }),
        ],
        endpointSlices: [slice("two", endpoints)],
      },
      4,
    );
    const { text, origins } = renderIptablesSync(after, later, nodeA, plainConfig);
    expect(text).not.toContain("KUBE-SEP-");
    expect(text).toContain("-d 10.96.1.3");
    expect(origins).toHaveLength(text.trimEnd().split("\n").length);
  });

  it("flushes and deletes the chains of an endpoint that is gone", () => {
    const with7 = serviceObjects(
      {
        services: [service("one")],
        endpointSlices: [slice("one", [{ addresses: ["10.244.1.7"] }])],
      },
      4,
    );
    const { text } = renderIptablesSync(with7, objectsOf(["one"]), nodeA, plainConfig);
    const gone = text.split("\n").filter((line) => line.startsWith("-X "));
    expect(gone.map((line) => line.slice(0, 12))).toEqual(["-X KUBE-SVC-", "-X KUBE-SEP-"]);
    for (const line of gone) expect(text).toContain(`:${line.slice(3)} - [0:0]`);
  });

  it("asks for a conntrack cleanup only where the endpoints of a UDP port changed", () => {
    const udp = { ports: [{ name: "http", port: 80, protocol: "UDP" }] };
    const ports = [{ name: "http", port: 8080, protocol: "UDP" }];
    const endpoints = [{ addresses: ["10.244.1.7"] }];
    const before = objectsOf(["one", udp]);
    const after = serviceObjects(
      { services: [service("one", udp)], endpointSlices: [slice("one", endpoints, { ports })] },
      4,
    );
    expect(serviceChanges(before, after).udpEndpoints).toBe(true);
    expect(serviceChanges(after, before).udpEndpoints).toBe(true);
    expect(serviceChanges(after, after)).toEqual({ services: new Set(), udpEndpoints: false });
  });
});
