import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildCluster } from "../../src/kube/cluster.js";
import { loadObjects } from "../../src/kube/load.js";
import { formatIpv4, formatIpv4Prefix, prefixContains } from "../../src/wire/ip.js";
import { cluster, load, mistakesOf, repositoryText, shown, topology } from "./texts.js";

const boutique = repositoryText("test/golden/worlds/online-boutique/kubernetes-manifests.yaml");

function node(name: string, podCidr: string, address: string): string {
  return `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\nspec: {podCIDR: ${podCidr}}\nstatus: {addresses: [{type: InternalIP, address: ${address}}]}\n`;
}

const kubeadm = (pods: string, services: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kubeadm-config, namespace: kube-system}\ndata:\n  ClusterConfiguration: |\n    networking:\n      podSubnet: ${pods}\n      serviceSubnet: ${services}\n`;

describe("a folder of manifests", () => {
  const world = cluster(boutique);

  test("has every workload's pod on a worker with an address of its node", () => {
    const pods = world.pods.filter(({ namespace }) => namespace === "default");
    expect(pods).toHaveLength(12);
    for (const pod of pods) {
      const host = world.nodes.find(({ name }) => name === pod.node);
      expect(host?.controlPlane).toBe(false);
      expect(
        pod.address !== undefined &&
          host?.podCidr !== undefined &&
          prefixContains(host.podCidr, pod.address),
      ).toBe(true);
    }
    expect(new Set(world.pods.map(({ address }) => address)).size).toBe(world.pods.length);
  });

  test("has an endpoint with the right port for every Service", () => {
    const email = world.endpointSlices.find(
      ({ object }) => object.metadata?.labels?.["kubernetes.io/service-name"] === "emailservice",
    );
    expect(email?.object.ports).toEqual([{ name: "grpc", port: 8080, protocol: "TCP" }]);
    for (const { object } of world.services) {
      const name = object.metadata?.name;
      const slices = world.endpointSlices.filter(
        (slice) => slice.object.metadata?.labels?.["kubernetes.io/service-name"] === name,
      );
      expect(
        slices.flatMap((slice) => slice.object.endpoints),
        name,
      ).not.toHaveLength(0);
    }
  });

  test("has everything that was assumed in its notes", () => {
    expect(world.notes.map(({ text }) => text)).toEqual([
      "pod network assumed: 10.244.0.0/16 (no kubeadm-config says otherwise)",
      "service network assumed: 10.96.0.0/12 (kubeadm's default)",
      "Service kube-system/kube-dns assumed: 10.96.0.10",
      "Deployment kube-system/coredns assumed: 2 replicas",
      "ConfigMap kube-system/coredns assumed: kubeadm's Corefile",
      "Service default/kubernetes assumed: 10.96.0.1:443",
      "nodes assumed: cp-1 192.168.10.10, worker-1 192.168.10.11, worker-2 192.168.10.12 (no Node objects)",
      "CNI assumed: bridge cni0 with host-local and portmap on every node",
    ]);
  });

  test("is the same cluster every time", () => {
    expect(JSON.stringify(cluster(boutique).pods)).toBe(JSON.stringify(world.pods));
    expect(JSON.stringify(cluster(boutique).services)).toBe(JSON.stringify(world.services));
  });
});

test("demo:shop is what its drawing says", () => {
  const world = buildCluster(loadObjects(topology("shop")));
  expect(
    world.nodes.map(
      ({ name, address, podCidr }) =>
        `${name} ${formatIpv4(address)} ${podCidr === undefined ? "" : formatIpv4Prefix(podCidr)}`,
    ),
  ).toEqual([
    "cp-1 192.168.10.10 10.244.0.0/24",
    "worker-1 192.168.10.11 10.244.1.0/24",
    "worker-2 192.168.10.12 10.244.2.0/24",
  ]);
  expect(
    world.pods.map(
      ({ key, node: host, address }) =>
        `${key} ${host ?? ""} ${address === undefined ? "" : formatIpv4(address)}`,
    ),
  ).toEqual([
    "kube-system/coredns-0 cp-1 10.244.0.2",
    "kube-system/coredns-1 cp-1 10.244.0.3",
    "shop/web-0 worker-1 10.244.1.5",
    "shop/api-0 worker-1 10.244.1.6",
    "shop/api-1 worker-2 10.244.2.5",
    "shop/db-0 worker-2 10.244.2.6",
    "batch/job-0 worker-2 10.244.2.7",
  ]);
  expect(
    world.services.map(
      ({ object }) =>
        `${object.metadata?.namespace}/${object.metadata?.name} ${object.spec?.clusterIP}`,
    ),
  ).toEqual([
    "default/kubernetes 10.96.0.1",
    "kube-system/kube-dns 10.96.0.10",
    "shop/web 10.96.44.30",
    "shop/api 10.96.44.10",
    "shop/db 10.96.44.20",
  ]);
  expect(formatIpv4Prefix(world.networks.services.prefix)).toBe("10.96.0.0/16");
  expect(world.notes.map(({ text }) => text)).toEqual([
    "CNI assumed: bridge cni0 with host-local and portmap on every node",
  ]);
});

describe("mistakes", () => {
  test("overlapping pod CIDRs", () => {
    const text = `${node("a", "10.244.1.0/24", "192.168.10.1")}---\n${node("b", "10.244.0.0/23", "192.168.10.2")}`;
    expect(mistakesOf(() => cluster(text)).map(shown)).toEqual([
      "world.yaml:10:17: Node b: pod CIDR 10.244.0.0/23 overlaps 10.244.1.0/24 of node a\nhelp: the other one is at world.yaml:4; every node needs a pod CIDR of its own",
    ]);
  });

  test("a service CIDR inside the cluster CIDR", () => {
    expect(mistakesOf(() => cluster(kubeadm("10.0.0.0/8", "10.96.0.0/12"))).map(shown)).toEqual([
      "world.yaml:5:3: service CIDR 10.96.0.0/12 lies inside the cluster CIDR 10.0.0.0/8: a Service and a pod could have the same address\nhelp: give the pods and the Services networks that are apart",
    ]);
    expect(mistakesOf(() => cluster(kubeadm("10.244.0.0/99", "x"))).map(shown)).toEqual([
      "world.yaml:5:3: invalid CIDR address: 10.244.0.0/99",
      "world.yaml:5:3: invalid CIDR address: x",
    ]);
  });

  test("an exhausted pod CIDR, at the first pod that gets no address", () => {
    const pods = `apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: w}\nspec:\n  replicas: 9\n  selector: {matchLabels: {app: a}}\n  template: {metadata: {labels: {app: a}}, spec: {nodeName: a, containers: [{name: c}]}}\n`;
    expect(
      mistakesOf(() => cluster(`${node("a", "10.244.1.0/29", "192.168.10.1")}---\n${pods}`)).map(
        shown,
      ),
    ).toEqual([
      'world.yaml:13:13: Pod default/w-3: plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.244.1.1-10.244.1.6\nhelp: node a has pod CIDR 10.244.1.0/29; the first pod without an address is w-3',
    ]);
  });

  test("two nodes with one address", () => {
    const text = `${node("a", "10.244.1.0/24", "192.168.10.1")}---\n${node("b", "10.244.2.0/24", "192.168.10.1")}`;
    expect(mistakesOf(() => cluster(text)).map(({ message }) => message)).toEqual([
      "Node b: InternalIP 192.168.10.1 is the address of node a too",
    ]);
  });
});

test("a pod outside its node's pod CIDR is kept with the reason why it is not modelled", () => {
  const text = `${node("a", "10.244.1.0/24", "192.168.10.1")}---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: a, containers: []}\nstatus: {podIP: 172.16.5.5}\n`;
  const pod = cluster(text).pods.find(({ name }) => name === "p");
  expect(pod?.unmodelled).toBe(
    "address 172.16.5.5 lies outside the pod CIDR 10.244.1.0/24 of node a; its network is not modelled",
  );
});

test("nodes that only pods know are assumed, and host network pods have the node's address", () => {
  const text =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: n7, hostNetwork: true, containers: [{name: c}]}\nstatus: {hostIP: 10.0.0.7}\n";
  const world = cluster(text);
  expect(world.nodes.map(({ name, address }) => `${name} ${formatIpv4(address)}`)).toEqual([
    "n7 10.0.0.7",
  ]);
  expect(world.pods.find(({ name }) => name === "p")?.address).toBe(world.nodes[0]?.address);
});

test("networks are found in flags and guessed from objects that lie outside the usual ones", () => {
  const flags = `apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver-x, namespace: kube-system}\nspec: {hostNetwork: true, containers: [{name: kube-apiserver, command: [kube-apiserver, --service-cluster-ip-range=10.43.0.0/16]}]}\n`;
  expect(formatIpv4Prefix(cluster(flags).networks.services.prefix)).toBe("10.43.0.0/16");
  const service =
    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: 172.20.7.9, ports: [{port: 1}]}\n";
  expect(formatIpv4Prefix(cluster(service).networks.services.prefix)).toBe("172.20.7.0/24");
  const { pods } = cluster(
    `${node("a", "172.16.3.0/24", "10.0.0.1")}---\n${node("b", "172.16.9.0/24", "10.0.0.2")}`,
  ).networks;
  expect(formatIpv4Prefix(pods.prefix)).toBe("172.16.0.0/20");
});

test("any mix of nodes, workloads and Services gives a cluster without a shared address, or a user's mistake", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const aNode = fc
    .record({ name, third: fc.nat(5), length: fc.integer({ min: 22, max: 28 }) })
    .map((one) =>
      node(
        `node-${one.name}`,
        `10.244.${one.third}.0/${one.length}`,
        `192.168.10.${one.third + 20}`,
      ),
    );
  const aWorkload = fc
    .record({ name, replicas: fc.nat(20) })
    .map(
      (one) =>
        `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ${one.name}}\nspec: {replicas: ${one.replicas}, selector: {matchLabels: {app: ${one.name}}}, template: {metadata: {labels: {app: ${one.name}}}, spec: {containers: [{name: c}]}}}\n`,
    );
  const aService = fc
    .record({ name, ip: fc.option(fc.nat(3)) })
    .map(
      (one) =>
        `apiVersion: v1\nkind: Service\nmetadata: {name: ${one.name}}\nspec: {selector: {app: ${one.name}}, ports: [{port: 80}]${one.ip === null ? "" : `, clusterIP: 10.96.0.${one.ip + 20}`}}\n`,
    );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(aNode, aWorkload, aService), { minLength: 1, maxLength: 12 }),
      (texts) => {
        let world;
        try {
          world = buildCluster(load(texts.join("---\n")));
        } catch {
          expect(mistakesOf(() => buildCluster(load(texts.join("---\n")))).length).toBeGreaterThan(
            0,
          );
          return;
        }
        const addresses = world.pods.flatMap(({ address }) => address ?? []);
        expect(new Set(addresses).size).toBe(addresses.length);
        const clusterIps = world.services.map(({ object }) => object.spec?.clusterIP);
        expect(new Set(clusterIps).size).toBe(clusterIps.length);
        for (const pod of world.pods)
          expect((pod.node === undefined) === (pod.address === undefined)).toBe(true);
      },
    ),
    { numRuns: 100 },
  );
});

test("a whole cluster on another network is told in ten notes and a count", () => {
  const pods = Array.from(
    { length: 40 },
    (_, index) =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p${index}}\nspec: {nodeName: a, containers: []}\nstatus: {podIP: 172.16.5.${index + 1}}\n`,
  );
  const { notes } = cluster([node("a", "10.244.1.0/24", "192.168.10.1"), ...pods].join("---\n"));
  const misfits = notes.filter(({ text }) => text.includes("lies outside"));
  expect(misfits).toHaveLength(10);
  expect(misfits[0]?.place).toEqual({ file: "world.yaml", line: 11, column: 1 });
  expect(notes.at(-1)?.text).toBe("30 more pods have addresses that do not fit their nodes");
});

test("demo:shop-firewall is demo:shop, with the rules of worker-2 beside it", () => {
  expect(topology("shop-firewall")).toEqual(topology("shop"));
  expect(repositoryText("topologies/shop-firewall/worker-2.rules")).toContain(
    "--dport 5432 -j DROP",
  );
});
