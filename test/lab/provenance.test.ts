import { describe, expect, it } from "vitest";
import type { RuleMaker } from "../../src/core/recording.js";
import { type ClusterLab, clusterLab } from "../../src/lab/cluster-lab.js";
import { objectRules } from "../../src/lab/object-rules.js";
import { type ClusterWorld, loadWorld } from "../../src/lab/world.js";
import { demoWorld } from "../cli/demo-world.js";
import { flannelConfigMap } from "../kube/flannel-texts.js";

const hostPortPod = `apiVersion: v1
kind: Pod
metadata: {name: gate, namespace: shop}
spec:
  nodeName: worker-1
  containers:
    - name: gate
      ports:
        - {containerPort: 8080, hostPort: 8088}
`;

const conflist = `{"cniVersion": "1.0.0", "name": "net", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "usePodCidr"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}},
  {"type": "firewall"}
]}`;

/** A world with rules of every program that writes some: kubelet, kube-proxy, kube-router and the CNI plugins. */
const shop = demoWorld(
  "shop",
  { file: "gate.yaml", text: hostPortPod },
  { file: "05-net.conflist", text: conflist },
);
const flannel = demoWorld("shop", {
  file: "flannel.yaml",
  text: flannelConfigMap('{"Type": "vxlan"}'),
});

interface GeneratedRule {
  readonly text: string;
  readonly file: string;
  readonly line: ReturnType<NonNullable<RuleMaker["line"]>>;
}

/** Every rule that a lab's commands bring, with what its maker says of it. */
function generated({ lab, makers }: ClusterLab): readonly GeneratedRule[] {
  return lab.commands.flatMap(({ argv, stdin = "", stdinName = "" }) =>
    argv[0] !== "iptables-restore"
      ? []
      : stdin
          .split("\n")
          .flatMap((text, index) =>
            /^-[AI] /.test(text)
              ? [{ text, file: stdinName, line: makers.get(stdinName)?.line?.(index + 1) }]
              : [],
          ),
  );
}

function programsOf(world: ClusterWorld): ReadonlySet<string | undefined> {
  return new Set(generated(clusterLab(world)).map(({ line }) => line?.by));
}

describe("every generated rule", () => {
  it.each([
    ["kubelet, kube-proxy, kube-router and CNI plugins", shop],
    ["flannel", flannel],
  ])("knows who wrote it and why: %s", (_, world) => {
    const rules = generated(clusterLab(world));
    expect(rules.length).toBeGreaterThan(150);
    expect(rules.filter(({ line }) => line === undefined || line.why === "")).toEqual([]);
  });

  it("comes from the program that writes it on a real node", () => {
    expect(programsOf(shop)).toEqual(
      new Set([
        "CNI plugin bridge",
        "CNI plugin firewall",
        "CNI plugin portmap",
        "kube-proxy",
        "kube-router",
        "kubelet",
      ]),
    );
    expect(programsOf(flannel)).toContain("flannel");
  });

  it("leads back to the line of the object that asked for it", () => {
    const placed = (world: ClusterWorld, pattern: RegExp): readonly string[] => [
      ...new Set(
        generated(clusterLab(world))
          .filter(({ text }) => pattern.test(text))
          .flatMap(({ line }) => line?.objects ?? [])
          .map(({ kind, name, place }) => `${kind} ${name} ${place?.file}:${place?.line}`),
      ),
    ];
    expect(placed(shop, /--dport 8088 .*-j DNAT/)).toEqual(["Pod shop/gate gate.yaml:8"]);
    expect(placed(shop, /-s 10\.244\.1\.5\/32 .*-j CNI-/)).toEqual([
      "Pod shop/web-0 20-shop.yaml:46",
    ]);
    expect(placed(shop, /--dport 30080 -j KUBE-EXT/)).toEqual(["Service shop/web 20-shop.yaml:22"]);
    expect(placed(shop, /KUBE-NWPLCY-\S+ .*shop\/db-from-api ingress pods/)).toEqual([
      "NetworkPolicy shop/db-from-api policies/db.yaml:12",
    ]);
    expect(placed(flannel, /10\.244\.1\.0\/24 .*FLANNEL|FLANNEL-POSTRTG -s 10\.244\.1\.0/)).toEqual(
      [
        "ConfigMap kube-flannel/kube-flannel-cfg flannel.yaml:14",
        "Node worker-1 00-cluster.yaml:37",
      ],
    );
  });

  it("has a file of its own for each node and pod, so that a line number means one rule", () => {
    const { lab } = clusterLab(shop);
    const names = lab.commands.flatMap(({ argv, stdinName }) =>
      argv[0] === "iptables-restore" ? [stdinName] : [],
    );
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("from an object forward to its rules", () => {
  it("lists those of a Service on every node, and of its pod those of the endpoint alone", () => {
    const service = objectRules(shop, "svc/shop/api", undefined);
    const pod = objectRules(shop, "pod/shop/api-0", "cp-1");
    const perNode = service.rules.length / 3;
    expect(service.rules.filter(({ node }) => node === "cp-1")).toHaveLength(perNode);
    expect(pod.rules.length).toBeGreaterThan(0);
    expect(pod.rules.length).toBeLessThan(perNode);
    const texts = new Set(service.rules.map(({ text }) => text));
    for (const { text } of pod.rules) {
      expect(texts).toContain(text);
      expect(text).toMatch(/10\.244\.1\.6|KUBE-SEP-KWPGP54VZQEWMJAD/);
    }
  });

  it("lists host ports and masquerading of a pod where it runs", () => {
    const { rules } = objectRules(shop, "pod/shop/gate", "worker-1");
    expect(new Set(rules.map(({ made }) => made.by))).toEqual(
      new Set(["CNI plugin bridge", "CNI plugin portmap", "CNI plugin firewall", "kube-router"]),
    );
  });

  it("names the nearest object where there is none of that name", () => {
    expect(() => objectRules(shop, "svc/shop/ap", undefined)).toThrow('no Service "shop/ap"');
    expect(() => objectRules(shop, "svc/api", undefined)).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ help: "did you mean shop/api?" }),
      }),
    );
    expect(() => objectRules(shop, "svcs/shop/api", undefined)).toThrow("names no object");
    expect(() => objectRules(shop, "svc/shop/api", "worker-9")).toThrow('no node "worker-9"');
  });

  it("says that a node's own dump stands in place of what is listed", () => {
    const dump = "# Generated by iptables-save v1.8.9\n*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n";
    const texts = [...shop.files, { file: "worker-1.rules", text: dump }];
    const world = loadWorld(texts, "demo");
    if (world.kind !== "cluster") throw new Error("a cluster");
    const { recorded, rules } = objectRules(world, "svc/shop/api", undefined);
    expect(recorded).toEqual(["worker-1"]);
    expect(rules.some(({ node }) => node === "worker-1")).toBe(true);
  });
});
