import { describe, expect, it } from "vitest";
import { parseAddress } from "../../../src/kube/proxy/addresses.js";
import { categorizeEndpoints, type NodeEndpoint } from "../../../src/kube/proxy/categorize.js";
import { golden, type CategorizeRow } from "./cases.js";

const { rows } = golden.categorizeEndpoints;

describe("which endpoints a service port uses", () => {
  it.each(rows.map((row) => [row.name, row] as const))("as upstream's table: %s", (_name, row) => {
    const chosen = categorizeEndpoints(
      row.endpoints.map(endpointOf),
      policyOf(row),
      topologyOf(row),
    );
    // Where releases differ the row of the era of hints (1.33 and later) counts: the Service's annotation is not read.
    const expected = row.derivedHintsEra ?? row.expected;
    expect({
      clusterEndpoints: textsOf(chosen.cluster),
      localEndpoints: textsOf(chosen.local),
      allReachableEndpoints: textsOf(chosen.reachable),
      hasAnyEndpoints: chosen.usable,
    }).toEqual(expected);
  });

  it("all rows of the table are run, three of them as releases since 1.33 answer", () => {
    expect(rows).toHaveLength(31);
    expect(rows.filter((row) => row.derivedHintsEra !== undefined).map(({ name }) => name)).toEqual(
      [
        "annotation == disabled, hints ignored",
        "annotation == aUto (wrong capitalization), hints ignored",
        "annotation empty, hints ignored",
      ],
    );
  });

  describe("node hints", () => {
    const endpoints = [
      { ...ready("10.0.0.1:80"), nodeHints: ["here"], zoneHints: ["a"] },
      { ...ready("10.0.0.2:80"), nodeHints: ["there"], zoneHints: ["a"] },
      { ...ready("10.0.0.3:80"), nodeHints: ["there"], zoneHints: ["b"] },
    ];
    const policy = {
      internalPolicyLocal: false,
      externalPolicyLocal: false,
      externallyReachable: false,
    };
    const cluster = (
      nodeName: string,
      nodeHints: boolean,
      list: readonly NodeEndpoint[] = endpoints,
    ): unknown =>
      textsOf(categorizeEndpoints(list, policy, { nodeName, zone: "a", nodeHints }).cluster);

    it("come before zone hints", () => {
      expect(cluster("here", true)).toEqual(["10.0.0.1:80"]);
    });
    it("give way to zone hints on a node that none of them names", () => {
      expect(cluster("elsewhere", true)).toEqual(["10.0.0.1:80", "10.0.0.2:80"]);
    });
    it("are not read with the gate PreferSameTrafficDistribution off", () => {
      expect(cluster("here", false)).toEqual(["10.0.0.1:80", "10.0.0.2:80"]);
    });
    it("do not count while one ready endpoint has none", () => {
      expect(cluster("here", true, [...endpoints, ready("10.0.0.4:80")])).toHaveLength(4);
    });
  });
});

function endpointOf(row: CategorizeRow["endpoints"][number]): NodeEndpoint {
  return { ...ready(row.endpoint), ...row, zoneHints: row.zoneHints ?? [] };
}

function ready(text: string): NodeEndpoint {
  const [host = "", port] = text.split(":");
  const address = parseAddress(host);
  if (address === undefined) throw new Error(`${host} is not an address`);
  return {
    address,
    port: Number(port),
    text,
    nodeName: "",
    ready: true,
    serving: true,
    terminating: false,
    isLocal: false,
    zoneHints: [],
    nodeHints: [],
    object: { kind: "EndpointSlice", namespace: "default", name: "slice", path: [] },
  };
}

function policyOf({ service }: CategorizeRow): Parameters<typeof categorizeEndpoints>[1] {
  return { ...service, externallyReachable: service.nodePort !== 0 };
}

function topologyOf({ nodeLabels }: CategorizeRow): Parameters<typeof categorizeEndpoints>[2] {
  return {
    nodeName: "node",
    zone: nodeLabels["topology.kubernetes.io/zone"] ?? "",
    nodeHints: true,
  };
}

function textsOf(list: readonly NodeEndpoint[] | undefined): string[] | null {
  return list === undefined ? null : list.map(({ text }) => text);
}
