import { describe, expect, it } from "vitest";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { buildLab } from "../../src/lab/build.js";
import { loadWorld } from "../../src/lab/world.js";
import { runTool } from "../../src/tools/index.js";
import { kindnetConflist } from "../../src/kube/masquerade-agents.js";

const pods = ["a", "b"]
  .map(
    (name, n) =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: {nodeName: worker-${n + 1}, containers: [{name: c, ports: [{containerPort: 80, hostPort: 8080}]}]}\n---\n`,
  )
  .join("");
const kindnet =
  "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: kindnet, namespace: kube-system}\nspec: {selector: {matchLabels: {k: n}}, template: {metadata: {labels: {k: n}}, spec: {hostNetwork: true, containers: [{name: kindnet-cni}]}}}\n";

function shell(texts: readonly { file: string; text: string }[], ns: string, line: string): string {
  const world = loadWorld(texts, "w");
  if (world.kind !== "cluster") throw new Error("no cluster");
  return runTool(buildLab(clusterLab(world).lab, 1), { ns, argv: line.split(" ") }).stdout;
}

describe("kindnet", () => {
  const texts = [{ file: "w.yaml", text: pods + kindnet }];

  it("gives every pod a cable of its own, and routes to the other nodes", () => {
    expect(shell(texts, "default/a", "ip route")).toBe(
      [
        "default via 10.244.0.1 dev eth0 ",
        "10.244.0.0/24 via 10.244.0.1 dev eth0 src 10.244.0.2 ",
        "10.244.0.1 dev eth0 scope link src 10.244.0.2 ",
        "",
      ].join("\n"),
    );
    const routes = shell(texts, "worker-1", "ip route");
    expect(routes).toMatch(/^10\.244\.0\.2 dev veth\w{8} scope host $/m);
    expect(routes).toMatch(/^10\.244\.1\.0\/24 via 192\.168\.10\.\d+ dev eth0 $/m);
  });

  it("masquerades what leaves the cluster, after kube-proxy's own rules", () => {
    const saved = shell(texts, "worker-1", "iptables-save -t nat").split("\n");
    expect(saved.filter((line) => line.includes("KIND-MASQ"))).toEqual([
      ":KIND-MASQ-AGENT - [0:0]",
      '-A POSTROUTING -m addrtype ! --dst-type LOCAL -m comment --comment "kind-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom KIND-MASQ-AGENT chain" -j KIND-MASQ-AGENT',
      '-A KIND-MASQ-AGENT -d 10.244.0.0/16 -m comment --comment "kind-masq-agent: local traffic is not subject to MASQUERADE" -j RETURN',
      '-A KIND-MASQ-AGENT -m comment --comment "kind-masq-agent: outbound traffic is subject to MASQUERADE (must be last in chain)" -j MASQUERADE',
    ]);
    const jumps = saved.filter((line) => line.startsWith("-A POSTROUTING"));
    expect(jumps.findIndex((line) => line.endsWith("KUBE-POSTROUTING"))).toBeLessThan(
      jumps.findIndex((line) => line.endsWith("KIND-MASQ-AGENT")),
    );
  });

  it("is found by the name of its CNI configuration too", () => {
    const { name, cniVersion, plugins } = kindnetConflist("usePodCidr");
    const text = JSON.stringify({ name, cniVersion, plugins: plugins.map(({ raw }) => raw) });
    const named = [
      { file: "w.yaml", text: pods },
      { file: "10-kindnet.conflist", text },
    ];
    expect(shell(named, "worker-1", "iptables-save -t nat")).toContain("KIND-MASQ-AGENT");
  });
});

it("kubenet masquerades what goes outside of 10.0.0.0/8", () => {
  const bridge = {
    type: "bridge",
    bridge: "cbr0",
    isGateway: true,
    ipam: { type: "host-local", subnet: "usePodCidr", routes: [{ dst: "0.0.0.0/0" }] },
  };
  const conflist = { name: "kubenet", cniVersion: "0.3.1", plugins: [bridge] };
  const texts = [
    { file: "w.yaml", text: pods },
    { file: "kubenet.conflist", text: JSON.stringify(conflist) },
  ];
  expect(shell(texts, "worker-1", "iptables-save -t nat")).toContain(
    '-A POSTROUTING ! -d 10.0.0.0/8 -m comment --comment "kubenet: SNAT for outbound traffic from cluster" -m addrtype ! --dst-type LOCAL -j MASQUERADE\n',
  );
  expect(shell(texts, "worker-1", "ip -br addr")).toContain("10.244.0.1/24");
});
