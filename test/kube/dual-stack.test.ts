import { describe, expect, test } from "vitest";
import { buildLab } from "../../src/lab/build.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import { renderNodeRules } from "../../src/lab/node-rules.js";
import { loadWorld } from "../../src/lab/world.js";
import { runTool } from "../../src/tools/index.js";
import { formatIpv6, formatIpv6Prefix } from "../../src/wire/ip.js";
import { cluster, mistakesOf } from "./texts.js";

const kubeadm = `apiVersion: v1
kind: ConfigMap
metadata: {name: kubeadm-config, namespace: kube-system}
data:
  ClusterConfiguration: |
    networking: {podSubnet: "10.244.0.0/16,fd00:10:244::/56", serviceSubnet: "10.96.0.0/16,fd00:10:96::/112"}
`;
const node = (name: string, host: number, more = ""): string =>
  `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\nspec: {${more}}\nstatus: {addresses: [{type: InternalIP, address: 192.168.10.${host}}, {type: InternalIP, address: "fd00:10::${host}"}]}\n`;
const pod = (name: string, on: string, more = ""): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: a}}\nspec: {nodeName: ${on}, ${more} containers: [{name: c}]}\n`;
const service = (name: string, spec: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {selector: {app: a}, ports: [{port: 80}], ${spec}}\n`;
const world = [
  kubeadm,
  node("a", 1),
  node("b", 2),
  pod("p", "b"),
  pod("h", "b", "hostNetwork: true,"),
];

describe("a dual-stack cluster", () => {
  test("gives nodes blocks and pods addresses of both families", () => {
    const { nodes, pods } = cluster(world.join("---\n"));
    expect(nodes.map(({ podCidr6 }) => podCidr6 && formatIpv6Prefix(podCidr6))).toEqual([
      "fd00:10:244::/64",
      "fd00:10:244:1::/64",
    ]);
    const shown = pods
      .filter(({ namespace }) => namespace === "default")
      .map(
        ({ name, address6 }) => `${name} ${address6 === undefined ? "-" : formatIpv6(address6)}`,
      );
    expect(shown).toEqual(["p fd00:10:244:1::2", "h fd00:10::2"]);
  });

  test("keeps the blocks and addresses that are given", () => {
    const texts = [
      kubeadm,
      node("a", 1, 'podCIDRs: ["10.244.0.0/24", "fd00:10:244::/64"]'),
      node("b", 2),
      `${pod("p", "a")}status: {podIP: 10.244.0.5, podIPs: [{ip: 10.244.0.5}, {ip: "fd00:10:244::2"}]}\n`,
      pod("q", "a"),
    ];
    const { nodes, pods } = cluster(texts.join("---\n"));
    expect(nodes.map(({ podCidr6 }) => podCidr6 && formatIpv6Prefix(podCidr6))[1]).toBe(
      "fd00:10:244:1::/64",
    );
    expect(
      pods
        .filter(({ namespace }) => namespace === "default")
        .map(({ loaded }) => loaded.object.status?.podIPs?.map(({ ip }) => ip)),
    ).toEqual([
      ["10.244.0.5", "fd00:10:244::2"],
      ["10.244.0.6", "fd00:10:244::3"],
    ]);
  });

  test("Services have the families they ask for, in their order, and a slice for each", () => {
    const texts = [
      service("one", ""),
      service("six", "ipFamilies: [IPv6]"),
      service("both", "ipFamilyPolicy: PreferDualStack"),
      service("swapped", "ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4]"),
      service("asked", 'clusterIPs: ["10.96.0.77", "fd00:10:96::4d"], clusterIP: 10.96.0.77'),
    ];
    const found = cluster([...world, ...texts].join("---\n"));
    const shown = texts.map((_, n) => {
      const name = ["one", "six", "both", "swapped", "asked"][n] ?? "";
      const one = found.services.find(({ object }) => object.metadata?.name === name);
      const slices = found.endpointSlices.filter(
        ({ object }) => object.metadata?.labels?.["kubernetes.io/service-name"] === name,
      );
      const types = slices.map(
        ({ object }) =>
          `${object.addressType}:${object.endpoints.map(({ addresses }) => addresses[0]).join("+")}`,
      );
      return `${one?.object.spec?.clusterIPs?.join(" ")} | ${types.join(" ")}`;
    });
    expect(shown).toEqual([
      "10.96.1.1 | IPv4:10.244.1.2+192.168.10.2",
      "fd00:10:96::101 | IPv6:fd00:10:244:1::2+fd00:10::2",
      "10.96.1.2 fd00:10:96::102 | IPv4:10.244.1.2+192.168.10.2 IPv6:fd00:10:244:1::2+fd00:10::2",
      "fd00:10:96::103 10.96.1.3 | IPv6:fd00:10:244:1::2+fd00:10::2 IPv4:10.244.1.2+192.168.10.2",
      "10.96.0.77 fd00:10:96::4d | IPv4:10.244.1.2+192.168.10.2 IPv6:fd00:10:244:1::2+fd00:10::2",
    ]);
  });

  test("renders ip6tables rules for the Services of IPv6", () => {
    const texts = [...world, service("both", "ipFamilyPolicy: PreferDualStack, type: NodePort")];
    const loaded = loadWorld([{ file: "w.yaml", text: texts.join("---\n") }], "w");
    if (loaded.kind !== "cluster") throw new Error("no cluster");
    const { text } = renderNodeRules(loaded, "a", 6);
    expect(text).toMatch(
      /^-A KUBE-SERVICES -m comment --comment "default\/both cluster IP" -m tcp -p tcp -d fd00:10:96::101 --dport 80 -j KUBE-SVC-\w{16}$/m,
    );
    expect(text).toContain("--to-destination [fd00:10:244:1::2]:80");
    expect(text).toContain("! -s fd00:10:244::/56 -j KUBE-MARK-MASQ");
    expect(text).not.toContain("10.244.");
  });
});

describe("mistakes about families", () => {
  test.each([
    ["ipFamilies: [IPv6]", 'ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'],
    [
      "ipFamilyPolicy: RequireDualStack",
      'ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    ],
  ])("%s in a cluster of IPv4", (spec, message) => {
    expect(mistakesOf(() => cluster(service("s", spec))).map((error) => error.message)).toEqual([
      `Service default/s: spec.${message}`,
    ]);
  });

  test("an IPv6 address outside of the range, and one that is taken", () => {
    const texts = [
      kubeadm,
      service("s", 'clusterIP: "fd00:11::1", ipFamilies: [IPv6]'),
      service("t", 'clusterIP: "fd00:10:96::5", ipFamilies: [IPv6]'),
      service("u", 'clusterIP: "fd00:10:96::5", ipFamilies: [IPv6]'),
    ];
    expect(mistakesOf(() => cluster(texts.join("---\n"))).map(({ message }) => message)).toEqual([
      'Service default/s: spec.clusterIPs: Invalid value: ["fd00:11::1"]: failed to allocate IP fd00:11::1: provided IP is not in the valid range. The range of valid IPs is fd00:10:96::/112',
      'Service default/u: spec.clusterIPs: Invalid value: ["fd00:10:96::5"]: failed to allocate IP fd00:10:96::5: provided IP is already allocated',
    ]);
  });
});

test("a load balancer with the policy Local gets a port for its health checks, from the node ports", () => {
  const text = service("s", "type: LoadBalancer, externalTrafficPolicy: Local");
  const found = cluster(text).services.find(({ object }) => object.metadata?.name === "s");
  expect(found?.object.spec).toMatchObject({
    healthCheckNodePort: 30_087,
    ports: [{ nodePort: 30_086 }],
  });
  const taken = [
    service("t", "type: NodePort, ports: [{port: 80, nodePort: 30100}]").replace(
      "ports: [{port: 80}], ",
      "",
    ),
    service("u", "type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30100"),
  ];
  expect(mistakesOf(() => cluster(taken.join("---\n"))).map(({ message }) => message)).toEqual([
    "Service default/u: spec.healthCheckNodePort: Invalid value: 30100: failed to allocate requested HealthCheck NodePort 30100: provided port is already allocated",
  ]);
});

test("a node of a dual-stack cluster has the rules of both families", () => {
  const texts = [...world, service("both", "ipFamilyPolicy: PreferDualStack")];
  const loaded = loadWorld([{ file: "w.yaml", text: texts.join("---\n") }], "w");
  if (loaded.kind !== "cluster") throw new Error("no cluster");
  const sim = buildLab(clusterLab(loaded).lab, 1);
  const saved = (program: string): string =>
    runTool(sim, { ns: "a", argv: [program, "-t", "nat"] }).stdout;
  expect(saved("iptables-save")).toContain("-d 10.96.1.1/32");
  expect(saved("ip6tables-save")).toContain("-d fd00:10:96::101/128");
  expect(saved("ip6tables-save")).toContain("--to-destination [fd00:10:244:1::2]:80");
});
