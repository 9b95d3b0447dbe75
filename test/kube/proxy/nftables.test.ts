import { describe, expect, it } from "vitest";
import type { ProxyConfig } from "../../../src/kube/proxy/config.js";
import { nameHash, nftEndpointName, nftServiceName } from "../../../src/kube/proxy/names.js";
import { renderNftables, serviceCIDRText } from "../../../src/kube/proxy/nftables.js";
import { configOf, golden, nftablesCases, nodeOf, stateOf, type Inputs } from "./cases.js";
import { traceNftables } from "./trace-nftables.js";
import { nodeA, plainConfig, service, slice } from "./world.js";
import { serviceObjects, serviceState } from "../../../src/kube/proxy/service-state.js";

const render = (inputs: Inputs, more: Partial<ProxyConfig>): string =>
  renderNftables(stateOf(inputs), nodeOf(inputs.config), { ...configOf(inputs.config), ...more })
    .text;

const layoutOf = (one: { readonly layout?: "L3" | "L5" }): Partial<ProxyConfig> => ({
  nftLayout: one.layout ?? "L3",
});

/** `about.comparison.nftables`: everything but rules as sets, rules per chain in order. */
function compared(lines: readonly string[]): object {
  const rules = new Map<string, string[]>();
  for (const line of lines.filter((one) => one.startsWith("add rule "))) {
    const chain = line.split(" ").slice(0, 5).join(" ");
    rules.set(chain, [...(rules.get(chain) ?? []), line]);
  }
  return {
    rest: lines.filter((line) => !line.startsWith("add rule ")).toSorted(),
    rules: Object.fromEntries([...rules].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

describe("the nft script of kube-proxy's nftables mode", () => {
  it.each(nftablesCases.map((one) => [one.id, one] as const))(
    "equals the recorded dump: %s",
    (_id, one) => {
      const recorded = one.expected.nftLines ?? one.derived?.nftLines ?? [];
      expect(recorded.length).toBeGreaterThan(30);
      expect(compared(render(one, layoutOf(one)).trimEnd().split("\n"))).toEqual(
        compared(recorded),
      );
    },
  );

  it.each(
    nftablesCases
      .filter(({ expected }) => expected.flows !== undefined)
      .map((one) => [one.id, one] as const),
  )("sends packets where upstream's tracer sends them: %s", (_id, one) => {
    const script = render(one, layoutOf(one));
    const nodeIPs = nodeOf(one.config).localAddresses;
    const traced = (one.expected.flows ?? []).map(({ output: _o, masq: _m, ...flow }) => ({
      ...flow,
      ...traceNftables(script, nodeIPs, flow),
    }));
    expect(traced).toEqual(one.expected.flows);
  });

  it.each(
    nftablesCases
      .filter(({ expected }) => expected.metrics !== undefined)
      .map((one) => [one.id, one] as const),
  )("counts the services without local endpoints as the metric does: %s", (_id, one) => {
    const { ports } = stateOf(one);
    expect({
      internal: ports.filter(({ internal }) => internal === "no local endpoints").length,
      external: ports.filter(({ external }) => external === "no local endpoints").length,
    }).toEqual(one.expected.metrics?.noLocalEndpoints);
  });

  it("runs every nftables case of the recorded file", () => {
    const flows = nftablesCases.flatMap(({ expected }) => expected.flows ?? []);
    console.log(
      `kube-proxy cases: ${nftablesCases.length} nftables dumps run, ${flows.length} nftables flows run`,
    );
    expect(nftablesCases).toHaveLength(42);
  });

  it("has an origin for every line", () => {
    const one = nftablesCases[0];
    if (one === undefined) throw new Error("no case");
    const { text, origins } = renderNftables(
      stateOf(one),
      nodeOf(one.config),
      configOf(one.config),
    );
    const lines = text.trimEnd().split("\n");
    expect(origins).toHaveLength(lines.length);
    const element = lines.findIndex((line) => line.includes('"ns6/svc6:p80"'));
    expect(origins[element]).toEqual({
      by: "kube-proxy",
      objects: [{ kind: "Service", namespace: "ns6", name: "svc6", path: ["spec", "clusterIP"] }],
      why: "ns6/svc6:p80 has no endpoints",
    });
  });

  it.each(golden.serviceCIDRs.map((row) => [row.text, row] as const))(
    "drops unallocated addresses of %s",
    (text, row) => {
      expect(serviceCIDRText(row.event, row.family)).toBe(text);
    },
  );
});

describe("names in nftables mode", () => {
  const hashes = golden.nameHashes.filter(({ kind }) => kind === "nftables-service");

  it.each(hashes.map(({ input, chain }) => [input, chain] as const))("%s is %s", (input, chain) => {
    const [namespace = "", name = "", protocol = "", port = ""] = input.split("/");
    expect(nftServiceName(namespace, name, protocol, port)).toBe(chain);
  });

  it("write an IPv6 endpoint with dots", () => {
    const endpoint = { address: { text: "fd80:abcd:12::a1b2:c3d4:e5f6:9999" }, port: 80 };
    expect(
      nftEndpointName({ namespace: "testing", name: "service" }, "tcp", "http", endpoint),
    ).toBe("U7E2ET36-testing/service/tcp/http__fd80.abcd.12..a1b2.c3d4.e5f6.9999/80");
  });

  it("are cut at 240 characters, with the hash of the whole", () => {
    const long = "a".repeat(250);
    const name = nftServiceName("default", long, "tcp", "http");
    expect(name).toHaveLength(240);
    expect(name.startsWith(`${nameHash(`default/${long}/tcp/http`, 8)}-default/aaa`)).toBe(true);
    expect(name.endsWith("aaa...")).toBe(true);
  });
});

describe("layouts", () => {
  const objects = {
    services: [
      service(
        "web",
        { type: "LoadBalancer", loadBalancerSourceRanges: ["10.0.0.0/8"] },
        { status: { loadBalancer: { ingress: [{ ip: "198.51.100.7" }] } } },
      ),
    ],
    endpointSlices: [slice("web", [{ addresses: ["10.244.1.40"], nodeName: "node-a" }])],
  };
  const state = serviceState(serviceObjects(objects, 4), nodeA);
  const lines = (more: Partial<ProxyConfig>): string[] =>
    renderNftables(state, nodeA, { ...plainConfig, mode: "nftables", ...more })
      .text.split("\n")
      .map((line) => line.replace(/^add (\S+) ip kube-proxy /, "$1 "));

  it("L2 keeps all filter chains before DNAT and names the port where it masquerades", () => {
    expect(lines({ nftLayout: "L2" })).toEqual(
      expect.arrayContaining([
        "chain filter-prerouting { type filter hook prerouting priority -110 ; }",
        "chain filter-output-post-dnat { type filter hook output priority -90 ; }",
        "rule filter-output-post-dnat ct state new jump cluster-ips-check",
        expect.stringMatching(
          /^rule service-\S+ ip daddr 10.96.1.1 tcp dport 80 ip saddr != 10.244.0.0\/16 jump mark-for-masquerade$/,
        ),
      ]),
    );
    expect(
      lines({ nftLayout: "L2" }).filter((line) => line.startsWith("rule filter-output ")),
    ).toEqual([
      "rule filter-output ct state new jump service-endpoints-check",
      "rule filter-output ct state new jump firewall-check",
    ]);
  });

  it("L1 comments the firewall's elements and matches a bridge by its index", () => {
    const config = {
      nftLayout: "L1",
      detectLocalMode: "BridgeInterface",
      bridgeInterface: "cni0",
    } as const;
    expect(lines(config)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^element firewall-ips \{ 198.51.100.7 . tcp . 80 comment "default\/web:http" : goto firewall-/,
        ),
        expect.stringContaining("iif != cni0 jump mark-for-masquerade"),
      ]),
    );
    expect(lines({ ...config, nftLayout: "L2" }).join("\n")).toContain(
      "iifname != cni0 jump mark-for-masquerade",
    );
  });

  it("L4 marks in line and still has endpoint chains", () => {
    const text = lines({ nftLayout: "L4" }).join("\n");
    expect(text).not.toContain("mark-for-masquerade");
    expect(text).toContain("ip saddr 10.244.1.40 mark set mark or 0x00004000\n");
    expect(text).toContain(
      "mark and 0x00004000 != 0 mark set mark xor 0x00004000 masquerade fully-random",
    );
  });

  it("an empty nodePortAddresses is the node's own address, and match-all must be asked for", () => {
    expect(lines({})).toContain("element nodeport-ips { 192.168.0.2 }");
    const all = lines({ nodePortAddresses: ["0.0.0.0/0"] }).join("\n");
    expect(all).not.toContain("nodeport-ips");
    expect(all).toContain(
      "rule services fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports",
    );
  });
});
