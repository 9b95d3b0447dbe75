import { expect, test } from "vitest";
import { buildCluster } from "../../src/kube/cluster.js";
import { generateName, templateHash } from "../../src/kube/controllers/names.js";
import { loadObjects } from "../../src/kube/load.js";
import { cluster, mistakesOf, shown } from "./texts.js";

const template = "{metadata: {labels: {app: a}}, spec: {containers: [{name: c}]}}";

function workload(kind: string, spec: string, name = "w", version = "apps/v1"): string {
  return `apiVersion: ${version}\nkind: ${kind}\nmetadata: {name: ${name}, namespace: n}\nspec: {${spec}}\n`;
}

const selector = "selector: {matchLabels: {app: a}}";

function podsOf(text: string): readonly string[] {
  return cluster(text)
    .pods.filter(({ namespace }) => namespace === "n")
    .map(({ name, node }) => `${name} ${node ?? "-"}`);
}

test("a Deployment's pods are named after its ReplicaSet, spread over the workers and the same in every run", () => {
  const text = workload("Deployment", `replicas: 3, ${selector}, template: ${template}`);
  const pods = podsOf(text);
  expect(pods).toEqual(podsOf(text));
  for (const pod of pods)
    expect(pod).toMatch(/^w-[456789bcdf]{4,10}-[bcdfghjklmnpqrstvwxz2456789]{5} worker-[12]$/);
  expect(pods.map((pod) => pod.split(" ")[1])).toEqual(["worker-2", "worker-1", "worker-2"]);
  expect(new Set(pods).size).toBe(3);
});

test("pods carry the labels their controllers add, and the workload a user would name", () => {
  const [pod] = cluster(workload("Deployment", `${selector}, template: ${template}`)).pods.filter(
    ({ namespace }) => namespace === "n",
  );
  const hash = pod?.loaded.object.metadata?.labels?.["pod-template-hash"];
  expect(pod?.name.startsWith(`w-${hash}-`)).toBe(true);
  expect(pod?.workload).toEqual({ kind: "Deployment", name: "w" });
  expect(pod?.loaded.object.metadata?.ownerReferences?.[0]).toMatchObject({
    kind: "ReplicaSet",
    name: `w-${hash}`,
    controller: true,
  });
  expect(pod?.loaded.origin.placeOf(["spec", "containers", 0, "name"])).toMatchObject({ line: 4 });
});

test("a StatefulSet counts from its first ordinal and names its pods' hosts", () => {
  const text = workload(
    "StatefulSet",
    `replicas: 2, serviceName: db, ordinals: {start: 5}, ${selector}, template: ${template}`,
  );
  expect(podsOf(text)).toEqual(["w-5 worker-2", "w-6 worker-1"]);
  const pod = cluster(text).pods.find(({ name }) => name === "w-6");
  expect(pod?.loaded.object.spec).toMatchObject({ hostname: "w-6", subdomain: "db" });
  expect(pod?.loaded.object.metadata?.labels).toMatchObject({
    "statefulset.kubernetes.io/pod-name": "w-6",
    "apps.kubernetes.io/pod-index": "6",
  });
});

test("a DaemonSet has one pod on every node that takes it", () => {
  const nodesOf = (spec: string): readonly (string | undefined)[] =>
    podsOf(
      workload(
        "DaemonSet",
        `${selector}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c}]${spec}}}`,
      ),
    ).map((pod) => pod.split(" ")[1]);
  expect(nodesOf("")).toEqual(["worker-1", "worker-2"]);
  expect(nodesOf(", tolerations: [{operator: Exists}]")).toEqual(["cp-1", "worker-1", "worker-2"]);
  expect(nodesOf(", nodeSelector: {kubernetes.io/hostname: worker-2}")).toEqual(["worker-2"]);
});

test("Jobs and CronJobs run as many pods as may run at once", () => {
  expect(
    podsOf(
      workload("Job", `parallelism: 3, completions: 2, template: ${template}`, "j", "batch/v1"),
    ),
  ).toHaveLength(2);
  expect(
    podsOf(
      workload(
        "Job",
        `parallelism: 2, completionMode: Indexed, template: ${template}`,
        "j",
        "batch/v1",
      ),
    )[1],
  ).toMatch(/^j-1-[a-z0-9]{5} /);
  expect(podsOf(workload("Job", `suspend: true, template: ${template}`, "j", "batch/v1"))).toEqual(
    [],
  );
  expect(
    podsOf(
      workload(
        "CronJob",
        `schedule: "* * * * *", jobTemplate: {spec: {template: ${template}}}`,
        "c",
        "batch/v1",
      ),
    )[0],
  ).toMatch(/^c-0-[a-z0-9]{5} /);
});

test("a workload whose pods are given makes none", () => {
  const deployment = workload("Deployment", `${selector}, template: ${template}`);
  const set = `apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: w-abc, namespace: n, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: w, controller: true}]}\nspec: {${selector}, template: ${template}}\n`;
  const pod = `apiVersion: v1\nkind: Pod\nmetadata: {name: w-abc-1, namespace: n, ownerReferences: [{kind: ReplicaSet, name: w-abc, controller: true}]}\nspec: {nodeName: worker-9, containers: [{name: c}]}\n`;
  const world = cluster([deployment, set, pod].join("---\n"));
  expect(
    world.pods
      .filter(({ namespace }) => namespace === "n")
      .map(({ name, workload: owner }) => [name, owner]),
  ).toEqual([["w-abc-1", { kind: "Deployment", name: "w" }]]);
});

test("a template that its selector does not match is refused in the API server's words", () => {
  const text = workload("Deployment", `selector: {matchLabels: {app: b}}, template: ${template}`);
  expect(mistakesOf(() => cluster(text)).map(shown)).toEqual([
    "world.yaml:4:8: Deployment n/w: `selector` does not match template `labels`",
  ]);
  expect(mistakesOf(() => cluster(workload("Deployment", selector))).map(shown)).toEqual([
    "world.yaml:4:1: Deployment n/w: the pod template has no containers",
  ]);
});

test("millions of replicas end in an error and not in memory", () => {
  const text = workload("Deployment", `replicas: 2000000000, ${selector}, template: ${template}`);
  expect(mistakesOf(() => cluster(text))[0]?.message).toBe("more than 100000 pods");
});

test("a pod that no node takes is Pending with the scheduler's message, and has no address", () => {
  const text = workload(
    "Deployment",
    `${selector}, template: {metadata: {labels: {app: a}}, spec: {nodeSelector: {disk: ssd}, containers: [{name: c}]}}`,
  );
  const pod = cluster(text).pods.find(({ namespace }) => namespace === "n");
  expect(pod).toMatchObject({ node: undefined, address: undefined });
  expect(pod?.pending).toBe(
    "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match Pod's node affinity/selector.",
  );
});

test("two pods with one host port are on two nodes, and a third finds no place", () => {
  const text = workload(
    "Deployment",
    `replicas: 3, ${selector}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, ports: [{containerPort: 80, hostPort: 8080}]}]}}`,
  );
  expect(podsOf(text).map((pod) => pod.split(" ")[1])).toEqual(["worker-2", "worker-1", "-"]);
});

test("the order of a template's fields does not change its hash, its content does", () => {
  expect(templateHash({ a: 1, b: { c: 2, d: 3 } })).toBe(templateHash({ b: { d: 3, c: 2 }, a: 1 }));
  expect(templateHash({ a: 1 })).not.toBe(templateHash({ a: 2 }));
});

test("generated names are unlike those that are taken and fit a DNS label", () => {
  const taken = new Set<string>();
  const names = Array.from({ length: 500 }, () =>
    generateName(`${"x".repeat(80)}-`, "same owner", taken),
  );
  expect(new Set(names).size).toBe(500);
  for (const name of names) expect(name).toMatch(/^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/);
});

test("a pod in a node's folder of manifests is a static pod of that node, once", () => {
  const manifest = (name: string): string =>
    `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: kube-system}\nspec: {hostNetwork: true, containers: [{name: c}]}\n`;
  const file = "cp-1/etc/kubernetes/manifests/etcd.yaml";
  const read = (...texts: readonly { file: string; text: string }[]): readonly string[] =>
    buildCluster(loadObjects(texts))
      .pods.filter(({ name }) => name.startsWith("etcd"))
      .map(({ name, node, hostNetwork }) => `${name} ${node ?? "-"} ${hostNetwork}`);
  expect(read({ file, text: manifest("etcd") })).toEqual(["etcd-cp-1 cp-1 true"]);
  const mirror = {
    file: "dump.yaml",
    text: manifest("etcd-cp-1").replace("hostNetwork: true", "nodeName: cp-1, hostNetwork: true"),
  };
  expect(read({ file, text: manifest("etcd") }, mirror)).toEqual(["etcd-cp-1 cp-1 true"]);
  expect(read({ file: "app/manifests/etcd.yaml", text: manifest("etcd") })[0]).toMatch(/^etcd w/);
});

test("a DaemonSet of the host network does not wait for the pod network", () => {
  const node = `---\napiVersion: v1\nkind: Node\nmetadata: {name: x}\nspec: {taints: [{key: node.kubernetes.io/network-unavailable, effect: NoSchedule}]}\nstatus: {addresses: [{type: InternalIP, address: 192.168.1.1}]}\n`;
  const daemons = (spec: string): readonly string[] =>
    podsOf(
      workload(
        "DaemonSet",
        `${selector}, template: {metadata: {labels: {app: a}}, spec: {${spec} containers: [{name: c}]}}`,
      ) + node,
    );
  expect(daemons("")).toEqual([]);
  expect(daemons("hostNetwork: true,")).toHaveLength(1);
});
