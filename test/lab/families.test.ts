import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { buildLab, settleIpv6 } from "../../src/lab/build.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { showTable } from "../../src/lab/show.js";
import { type TraceRequest, traceRequest } from "../../src/lab/trace.js";
import { type ClusterWorld, loadWorld } from "../../src/lab/world.js";
import { runTool } from "../../src/tools/index.js";
import { formatVerdict } from "../../src/view/text.js";
import { viewOf } from "../../src/view/trace-view.js";
import { familiesWorld, flannelOf, kindnetOf } from "../kube/families-world.js";

function worldOf(
  families: "both" | "v6",
  more: Parameters<typeof loadWorld>[0] = [],
): ClusterWorld {
  const world = loadWorld([...familiesWorld(families), ...more], families);
  if (world.kind !== "cluster") throw new Error("no cluster");
  return world;
}

const both = worldOf("both");
const v6 = worldOf("v6");

function asked(
  source: string,
  destination: string,
  more: Partial<TraceRequest> = {},
): TraceRequest {
  return {
    source,
    destination,
    protocol: "tcp",
    sourcePort: 40_000,
    ttl: undefined,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
    ...more,
  };
}

/** `ADDRESS > ADDRESS VERDICT`. */
function told(
  world: ClusterWorld,
  source: string,
  destination: string,
  more: Partial<TraceRequest> = {},
): string {
  const recording = traceRequest(world, asked(source, destination, more));
  const { sourceAddress, address, port } = recording.request;
  const verdict = formatVerdict(viewOf(recording)).split(/\s/, 1)[0];
  return `${sourceAddress} > ${address} ${port} ${verdict}`;
}

function mistake(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof UserError) return `${error.message}; ${error.details.help ?? ""}`;
    throw error;
  }
  throw new Error("nothing was wrong");
}

describe("a request in a dual-stack cluster", () => {
  it("goes to the first family of a Service, a pod or a node, or to the one that is asked for", () => {
    const pod = "default/client";
    expect(told(both, pod, "svc:default/web:http")).toBe("10.244.0.2 > 10.96.0.50 80 DELIVERED");
    expect(told(both, pod, "svc:default/web:http", { family: 6 })).toBe(
      "fd00:10:244::2 > fd00:10:96::50 80 DELIVERED",
    );
    expect(told(both, pod, "pod:default/web:80", { family: 6 })).toBe(
      "fd00:10:244::2 > fd00:10:244:1::2 80 DELIVERED",
    );
    expect(told(both, pod, "b:22", { family: 6 })).toBe(
      "fd00:10:244::2 > fd00:10::12 22 NOT-LISTENING",
    );
    expect(told(both, pod, "svc:default/web:dns", { family: 6, protocol: "udp" })).toBe(
      "fd00:10:244::2 > fd00:10:96::50 53 DELIVERED",
    );
    expect(told(both, pod, "pod:default/web", { family: 6, protocol: "icmp" })).toBe(
      "fd00:10:244::2 > fd00:10:244:1::2 0 DELIVERED",
    );
  });

  it("goes to a literal address of either family, in brackets before a port", () => {
    expect(told(both, "default/client", "[fd00:10:96::50]:80")).toMatch(/DELIVERED$/);
    expect(told(both, "default/client", "http://[fd00:10:96::50]/")).toMatch(/ 80 DELIVERED$/);
    expect(told(both, "default/client", "10.96.0.50:80")).toMatch(/DELIVERED$/);
    expect(told(both, "fd00:10:244::2", "[fd00:10:244:1::2]:80")).toMatch(/DELIVERED$/);
  });

  it("takes the IPv6 address of a name that has both, as getaddrinfo sorts unique local addresses", () => {
    expect(told(both, "default/client", "http://web")).toBe(
      "fd00:10:244::2 > fd00:10:96::50 80 DELIVERED",
    );
    expect(told(both, "default/client", "http://web", { family: 4 })).toBe(
      "10.244.0.2 > 10.96.0.50 80 DELIVERED",
    );
  });

  it("reaches load balancers and node ports from outside over IPv6, and the pod sees the node", () => {
    expect(told(both, "2001:db8:9::9", "svc:default/web:http")).toBe(
      "2001:db8:9::9 > 2001:db8:5::80 80 DELIVERED",
    );
    expect(told(both, "2001:db8:9::9", "[fd00:10::11]:30080")).toMatch(/DELIVERED$/);
    expect(told(both, "default/client", "[2001:db8:77::1]:443")).toMatch(/LEFT-CLUSTER$/);
  });

  it("is refused by a Service without endpoints, and comes back to its own sender", () => {
    expect(told(both, "default/client", "svc:default/empty:http", { family: 6 })).toMatch(
      /NO-ENDPOINT$/,
    );
    expect(told(both, "default/web", "svc:default/web:http", { family: 6 })).toMatch(/DELIVERED$/);
  });

  it("is a mistake where one side lacks the family", () => {
    expect(mistake(() => told(both, "203.0.113.9", "[fd00:10::11]:30080"))).toBe(
      "203.0.113.9 and fd00:10::11 are addresses of two families; name a host outside and a destination of one family",
    );
    expect(mistake(() => told(v6, "default/client", "svc:default/web:http", { family: 4 }))).toBe(
      "Service default/web has no IPv4 address; it has fd00:10:96::50",
    );
  });

  it("is chosen its endpoint in either family", () => {
    const towards = { family: 6, endpoint: "default/web" } as const;
    expect(told(both, "default/client", "svc:default/web:http", towards)).toMatch(/DELIVERED$/);
  });
});

describe("a cluster of IPv6 alone", () => {
  it("has IPv6 addresses everywhere, its DNS and its API server too", () => {
    expect(v6.cluster.networks.families).toEqual([6]);
    expect(v6.cluster.services.map(({ object }) => object.spec?.clusterIP)).toEqual([
      "fd00:10:96::50",
      "fd00:10:96::51",
      "fd00:10:96::1",
      "fd00:10:96::a",
    ]);
    expect(v6.cluster.pods.map(({ loaded }) => loaded.object.status?.podIPs?.length)).toEqual(
      v6.cluster.pods.map(() => 1),
    );
    expect(v6.cluster.pods.every(({ address }) => address === undefined)).toBe(true);
  });

  it("carries requests by name, Service and node port", () => {
    expect(told(v6, "default/client", "http://web")).toBe(
      "fd00:10:244::2 > fd00:10:96::50 80 DELIVERED",
    );
    expect(told(v6, "default/client", "svc:default/web:http")).toMatch(/DELIVERED$/);
    expect(told(v6, "2001:db8:9::9", "[fd00:10::11]:30080")).toMatch(/DELIVERED$/);
  });
});

describe("a policy of a dual-stack cluster", () => {
  const policy = JSON.stringify({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "guard" },
    spec: {
      podSelector: { matchLabels: { app: "web" } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: "client" } } }] }],
    },
  });
  const guarded = worldOf("both", [{ file: "guard.yaml", text: policy }]);

  it.each([4, 6] as const)("lets one pod in and refuses another, over IPv%i", (family) => {
    const to = "svc:default/web:http";
    expect(told(guarded, "default/client", to, { family })).toMatch(/DELIVERED$/);
    expect(told(guarded, "default/beside", to, { family })).toMatch(/DENIED$/);
  });
});

describe("the networks between nodes", () => {
  it.each([
    ["kindnet", kindnetOf],
    ["flannel's host-gw", flannelOf("host-gw")],
    ["flannel's VXLAN", flannelOf("vxlan")],
  ])("%s carries IPv6 between pods and out of the cluster", (_, files) => {
    const world = worldOf("both", [...files]);
    expect(told(world, "default/client", "pod:default/web:80", { family: 6 })).toMatch(
      /DELIVERED$/,
    );
    expect(told(world, "default/client", "svc:default/web:http", { family: 6 })).toMatch(
      /DELIVERED$/,
    );
    expect(told(world, "default/client", "[2001:db8:77::1]:443")).toMatch(/LEFT-CLUSTER$/);
  });

  it("kindnet masquerades what leaves in each family, kubenet in IPv4 alone", () => {
    const saved = (world: ClusterWorld): readonly string[] => {
      const sim = buildLab(clusterLab(world).lab, 1);
      settleIpv6(sim);
      return ["iptables-save", "ip6tables-save"].map((program) =>
        runTool(sim, { ns: "a", argv: [program, "-t", "nat"] })
          .stdout.split("\n")
          .filter((line) => /^-A .*(KIND-MASQ-AGENT -d|kubenet)/.test(line))
          .map((line) => / -d (\S+)/.exec(line)?.[1] ?? "")
          .join(),
      );
    };
    expect(saved(worldOf("both", [...kindnetOf]))).toEqual(["10.244.0.0/16", "fd00:10:244::/56"]);
    const bridge = { type: "bridge", ipam: { type: "host-local", subnet: "usePodCidr" } };
    const kubenet = { cniVersion: "0.3.1", name: "kubenet", plugins: [bridge] };
    const file = { file: "10-kubenet.conflist", text: JSON.stringify(kubenet) };
    expect(saved(worldOf("both", [file]))).toEqual(["10.0.0.0/8", ""]);
  });
});

describe("the lists of a dual-stack cluster", () => {
  it("have the addresses of both families, the first one first", () => {
    const column = (table: ReturnType<typeof showTable>, name: string): readonly string[] => {
      if (typeof table === "string") throw new Error(table);
      const at = table.header.indexOf(name);
      return table.rows.map((row) => row[at] ?? "");
    };
    expect(column(showTable(both, "nodes", undefined, { seed: 1 }), "ADDRESS")).toEqual([
      "192.168.10.11,fd00:10::11",
      "192.168.10.12,fd00:10::12",
    ]);
    expect(column(showTable(both, "nodes", undefined, { seed: 1 }), "PODCIDR")).toEqual([
      "10.244.0.0/24,fd00:10:244::/64",
      "10.244.1.0/24,fd00:10:244:1::/64",
    ]);
    expect(column(showTable(both, "pods", undefined, { seed: 1 }), "ADDRESS")[0]).toBe(
      "10.244.0.2,fd00:10:244::2",
    );
    expect(column(showTable(v6, "nodes", undefined, { seed: 1 }), "ADDRESS")).toEqual([
      "fd00:10::11",
      "fd00:10::12",
    ]);
  });
});

describe("host ports of IPv6", () => {
  const shop = {
    file: "hostport.yaml",
    text: JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "edge" },
      spec: {
        nodeName: "b",
        containers: [
          { name: "c", ports: [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }] },
        ],
      },
    }),
  };

  it.each([
    ["both", "bridge", []],
    ["v6", "ptp", kindnetOf],
  ] as const)(
    "lead to the pod from outside and from its own node (%s, %s)",
    (families, _, more) => {
      const world = worldOf(families, [shop, ...more]);
      expect(told(world, "2001:db8:9::9", "[fd00:10::12]:8080")).toMatch(/DELIVERED$/);
      if (families === "both")
        expect(told(world, "203.0.113.9", "192.168.10.12:8080")).toMatch(/DELIVERED$/);
      expect(told(world, "default/edge", "[fd00:10::12]:8080")).toMatch(/DELIVERED$/);
      expect(told(world, "2001:db8:9::9", "[fd00:10::11]:8080")).not.toMatch(/DELIVERED$/);
      const rules = clusterLab(world).lab.commands.flatMap(({ argv, stdin = "", stdinName }) =>
        argv[0] === "ip6tables-restore" && /portmap/.test(stdinName ?? "") ? [stdin] : [],
      );
      expect(rules).toHaveLength(1);
      expect(rules[0]).toMatch(
        /-p tcp -m tcp --dport 8080 -j DNAT --to-destination \[fd00:10:244:/,
      );
    },
  );
});
