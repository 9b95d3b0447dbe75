import { describe, expect, it } from "vitest";
import { secondExample } from "./second-example.js";
import { nodeA, render, rulesOf, service, slice } from "./world.js";

const two = [
  { addresses: ["10.244.1.40"], nodeName: "node-a" },
  { addresses: ["10.244.2.40"], nodeName: "node-b" },
];
const loadBalancer = (ingress: readonly object[]): object => ({
  status: { loadBalancer: { ingress } },
});

describe("the second worked example", () => {
  const text = secondExample({ nfacctInvalid: true, nfacctLocalhost: true });
  const local = "KUBE-SEP-VKZBNW3FJPE25LK2";
  const remote = "KUBE-SEP-ESYWCKUI424ZOH47";

  it("rejects at the cluster IP and node port of a service without endpoints, each in its protocol", () => {
    expect(rulesOf(text, "filter", "KUBE-SERVICES")).toEqual([
      '-A KUBE-SERVICES -m comment --comment "default/empty:dns has no endpoints" -m udp -p udp -d 10.96.50.50 --dport 53 -j REJECT',
      '-A KUBE-SERVICES -m comment --comment "default/empty:http has no endpoints" -m tcp -p tcp -d 10.96.50.50 --dport 80 -j REJECT',
    ]);
    expect(rulesOf(text, "filter", "KUBE-EXTERNAL-SERVICES")).toEqual([
      '-A KUBE-EXTERNAL-SERVICES -m comment --comment "default/empty:http has no endpoints" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30090 -j REJECT',
    ]);
  });

  it("counts dropped invalid packets with nfacct", () => {
    expect(rulesOf(text, "filter", "KUBE-FORWARD")[0]).toBe(
      "-A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP",
    );
  });

  it("names a port without a name after its service alone", () => {
    expect(rulesOf(text, "nat", "KUBE-SERVICES").slice(0, 2)).toEqual([
      '-A KUBE-SERVICES -m comment --comment "default/sticky cluster IP" -m tcp -p tcp -d 10.96.40.40 --dport 80 -j KUBE-SVC-BJWR5DPVIKTHVKZU',
      '-A KUBE-SERVICES -m comment --comment "default/sticky external IP" -m tcp -p tcp -d 198.51.100.9 --dport 80 -j KUBE-EXT-BJWR5DPVIKTHVKZU',
    ]);
    expect(rulesOf(text, "nat", "KUBE-EXT")).toEqual([
      '-A KUBE-EXT-BJWR5DPVIKTHVKZU -m comment --comment "masquerade traffic for default/sticky external destinations" -j KUBE-MARK-MASQ',
      "-A KUBE-EXT-BJWR5DPVIKTHVKZU -j KUBE-SVC-BJWR5DPVIKTHVKZU",
    ]);
  });

  it("asks for a client's last endpoint before it lets chance choose", () => {
    const head = "-A KUBE-SVC-BJWR5DPVIKTHVKZU -m comment --comment";
    expect(rulesOf(text, "nat", "KUBE-SVC")).toEqual([
      `${head} "default/sticky cluster IP" -m tcp -p tcp -d 10.96.40.40 --dport 80 ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ`,
      `${head} "default/sticky -> 10.244.1.40:8080" -m recent --name ${local} --rcheck --seconds 600 --reap -j ${local}`,
      `${head} "default/sticky -> 10.244.2.40:8080" -m recent --name ${remote} --rcheck --seconds 600 --reap -j ${remote}`,
      `${head} "default/sticky -> 10.244.1.40:8080" -m statistic --mode random --probability 0.5000000000 -j ${local}`,
      `${head} "default/sticky -> 10.244.2.40:8080" -j ${remote}`,
    ]);
  });

  it("remembers the client in the endpoint's chain", () => {
    expect(rulesOf(text, "nat", remote)).toEqual([
      `-A ${remote} -m comment --comment default/sticky -s 10.244.2.40 -j KUBE-MARK-MASQ`,
      `-A ${remote} -m comment --comment default/sticky -m recent --name ${remote} --set -m tcp -p tcp -j DNAT --to-destination 10.244.2.40:8080`,
    ]);
  });
});

describe("load balancers", () => {
  const spec = { type: "LoadBalancer", ports: [{ name: "http", port: 80, nodePort: 30001 }] };

  it("are captured at addresses of ipMode VIP, and at none of ipMode Proxy or with a name only", () => {
    const ingress = [
      { ip: "198.51.100.1", ipMode: "VIP" },
      { ip: "198.51.100.2", ipMode: "Proxy" },
      { ip: "198.51.100.3" },
      { hostname: "lb.example.com" },
    ];
    const rules = rulesOf(
      render([service("web", spec, loadBalancer(ingress))], [slice("web", two)]),
      "nat",
      "KUBE-SERVICES",
    );
    expect(
      rules
        .filter((rule) => rule.includes("loadbalancer IP"))
        .map((rule) => / -d (\S+)/.exec(rule)?.[1]),
    ).toEqual(["198.51.100.1", "198.51.100.3"]);
  });

  it("have no firewall when all source ranges are of the other family", () => {
    const ranged = { ...spec, loadBalancerSourceRanges: ["2001:db8::/32"] };
    const text = render(
      [service("web", ranged, loadBalancer([{ ip: "198.51.100.1" }]))],
      [slice("web", two)],
    );
    expect(rulesOf(text, "nat", "KUBE-FW")).toEqual([]);
    expect(rulesOf(text, "filter", "KUBE-PROXY-FIREWALL")).toEqual([]);
  });

  it("let their own address in where a source range holds the node", () => {
    const ranged = { ...spec, loadBalancerSourceRanges: [" 192.168.000.0/024 "] };
    const text = render(
      [service("web", ranged, loadBalancer([{ ip: "198.51.100.1" }]))],
      [slice("web", two)],
    );
    expect(rulesOf(text, "nat", "KUBE-FW").map((rule) => / -s (\S+)/.exec(rule)?.[1])).toEqual([
      "192.168.0.0/24",
      "198.51.100.1",
      undefined,
    ]);
  });
});

describe("traffic policies", () => {
  it("drop in silence what only other nodes could answer", () => {
    const remote = [slice("web", two.slice(1))];
    const internal = render([service("web", { internalTrafficPolicy: "Local" })], remote);
    expect(rulesOf(internal, "filter", "KUBE-SERVICES")).toEqual([
      '-A KUBE-SERVICES -m comment --comment "default/web:http has no local endpoints" -m tcp -p tcp -d 10.96.1.1 --dport 80 -j DROP',
    ]);
    const external = render(
      [service("web", { externalIPs: ["203.0.113.9"], externalTrafficPolicy: "Local" })],
      remote,
    );
    expect(rulesOf(external, "filter", "KUBE-EXTERNAL-SERVICES")).toHaveLength(1);
    expect(rulesOf(external, "nat", "KUBE-EXT").map((rule) => rule.split(" -j ")[1])).toEqual([
      expect.stringMatching(/^KUBE-SVC-/),
      "KUBE-MARK-MASQ",
      expect.stringMatching(/^KUBE-SVC-/),
    ]);
  });

  it("do not count outside for a ClusterIP service without external IPs", () => {
    const text = render(
      [service("web", { externalTrafficPolicy: "Local" })],
      [slice("web", two.slice(1))],
    );
    expect(rulesOf(text, "nat", "KUBE-SVL")).toEqual([]);
    expect(rulesOf(text, "filter", "KUBE-EXTERNAL-SERVICES")).toEqual([]);
  });

  it("fall back to endpoints that terminate but still serve", () => {
    const draining = [
      {
        addresses: ["10.244.1.40"],
        conditions: { ready: false, serving: true, terminating: true },
      },
      {
        addresses: ["10.244.2.40"],
        conditions: { ready: false, serving: false, terminating: true },
      },
    ];
    const text = render([service("web")], [slice("web", draining)]);
    expect(rulesOf(text, "nat", "KUBE-SEP").filter((rule) => rule.includes("DNAT"))).toEqual([
      expect.stringContaining("--to-destination 10.244.1.40:8080"),
    ]);
  });

  it("keep to the node's zone where every ready endpoint has a hint", () => {
    const hinted = two.map((endpoint, index) => ({
      ...endpoint,
      hints: { forZones: [{ name: index === 0 ? "east" : "west" }] },
    }));
    const east = { ...nodeA, labels: { "topology.kubernetes.io/zone": "east" } };
    const text = render([service("web")], [slice("web", hinted)], {}, east);
    expect(rulesOf(text, "nat", "KUBE-SEP").filter((rule) => rule.includes("DNAT"))).toHaveLength(
      1,
    );
  });
});

describe("what kube-proxy leaves out", () => {
  it.each([
    ["a headless service", service("web", { clusterIP: "None" })],
    [
      "an ExternalName service",
      service("web", { type: "ExternalName", externalName: "example.com" }),
    ],
    ["a service without an address yet", service("web", { clusterIP: "" })],
    [
      "a service of another proxy",
      service(
        "web",
        {},
        { metadata: { labels: { "service.kubernetes.io/service-proxy-name": "cilium" } } },
      ),
    ],
    [
      "a service labelled headless",
      service("web", {}, { metadata: { labels: { "service.kubernetes.io/headless": "" } } }),
    ],
    ["a service of the other family", service("web", { clusterIP: "fd00::1" })],
  ])("%s has no rule", (_what, one) => {
    expect(render([one], [slice("web", two)]).text).not.toContain("default/web");
  });

  it("an endpoint of a slice whose port has another name or protocol is not the service's", () => {
    for (const port of [
      { name: "other", port: 8080, protocol: "TCP" },
      { name: "http", port: 8080, protocol: "UDP" },
    ]) {
      const text = render([service("web")], [slice("web", two, { ports: [port] })]);
      expect(rulesOf(text, "filter", "KUBE-SERVICES")).toHaveLength(1);
    }
  });
});

describe("telling local traffic from other", () => {
  const masquerade = (config: Parameters<typeof render>[2]): string | undefined =>
    rulesOf(render([service("web")], [slice("web", two)], config), "nat", "KUBE-SVC").find((rule) =>
      rule.includes("KUBE-MARK-MASQ"),
    );

  it.each([
    ["ClusterCIDR", {}, "--dport 80 ! -s 10.244.0.0/16 -j"],
    ["NodeCIDR", { detectLocalMode: "NodeCIDR" }, "--dport 80 ! -s 10.244.1.0/24 -j"],
    [
      "BridgeInterface",
      { detectLocalMode: "BridgeInterface", bridgeInterface: "cni0" },
      "--dport 80 ! -i cni0 -j",
    ],
    [
      "InterfaceNamePrefix",
      { detectLocalMode: "InterfaceNamePrefix", interfaceNamePrefix: "veth" },
      "--dport 80 ! -i veth+ -j",
    ],
    ["masqueradeAll", { masqueradeAll: true }, "--dport 80 -j"],
  ] as const)("%s", (_mode, config, part) => {
    expect(masquerade(config)).toContain(part);
  });

  it("masquerades no cluster IP when nothing tells pods apart", () => {
    expect(masquerade({ clusterCIDRs: [] })).toBeUndefined();
  });
});

describe("large clusters", () => {
  const many = (count: number): ReturnType<typeof slice>[] => [
    slice(
      "web",
      Array.from({ length: count }, (_, index) => ({
        addresses: [`10.244.${index >> 8}.${index & 255}`],
        conditions: { ready: index < 2 },
      })),
    ),
  ];
  const commented = (count: number): number =>
    [
      ...rulesOf(render([service("web")], many(count)), "nat", "KUBE-SEP"),
      ...rulesOf(render([service("web")], many(count)), "nat", "KUBE-SVC"),
    ].filter((rule) => rule.includes("--comment")).length;

  it("leave the comment out of rules for single endpoints above 1000 endpoints, ready or not", () => {
    // Two endpoints with two rules each, two choices, and the masquerade rule that keeps its comment.
    expect(commented(1000)).toBe(7);
    expect(commented(1001)).toBe(1);
  });
});

describe("where rules come from", () => {
  const web = service("web", {
    type: "NodePort",
    ports: [{ name: "http", port: 80, nodePort: 30001 }],
  });
  const rendered = render([service("other"), web], [slice("web", two)]);
  const lines = rendered.text.trimEnd().split("\n");

  it("every line has an origin", () => {
    expect(rendered.origins).toHaveLength(lines.length);
  });

  it("the origin of each service rule is the Service that its comment names", () => {
    for (const [index, line] of lines.entries()) {
      const name = /default\/([a-z]+)/.exec(line)?.[1];
      const named = rendered.origins[index]?.objects
        .filter(({ kind }) => kind === "Service")
        .map((object) => object.name);
      expect([line, named]).toEqual([line, name === undefined ? expect.anything() : [name]]);
    }
  });

  it("an endpoint's rule also names its EndpointSlice and where it stands in it", () => {
    const index = lines.findIndex((line) => line.includes("--to-destination 10.244.2.40:8080"));
    const origin = rendered.origins[index];
    expect([origin?.by, origin?.why, origin?.objects]).toEqual([
      "kube-proxy",
      "endpoint 10.244.2.40:8080 of default/web:http",
      [
        { kind: "Service", namespace: "default", name: "web", path: ["spec", "ports", 0] },
        { kind: "EndpointSlice", namespace: "default", name: "web-abcde", path: ["endpoints", 1] },
      ],
    ]);
  });

  it("a refusal says what is missing", () => {
    const index = lines.findIndex((line) => line.includes("default/other:http has no endpoints"));
    expect(rendered.origins[index]?.why).toBe("default/other:http has no endpoints");
  });
});

describe("duplicates", () => {
  it("an endpoint in two slices is one endpoint, and local if one of them says so", () => {
    const here = slice("web", [{ addresses: ["10.244.1.40"], nodeName: "node-a" }]);
    const stale = slice("web", [{ addresses: ["10.244.1.40"], nodeName: "node-b" }], {
      metadata: { ...here.metadata, name: "web-zzzzz" },
    });
    for (const slices of [
      [here, stale],
      [stale, here],
    ]) {
      const text = render([service("web", { internalTrafficPolicy: "Local" })], slices);
      expect(rulesOf(text, "nat", "KUBE-SVL").filter((rule) => rule.includes("->"))).toHaveLength(
        1,
      );
      expect(rulesOf(text, "filter", "KUBE-SERVICES")).toEqual([]);
    }
  });
});
