import { describe, expect, it } from "vitest";
import { loadWorld } from "../../../src/lab/world.js";
import { ipPool } from "../../kube/calico-texts.js";
import { commandsOn, failures, play } from "./worlds.js";

const nodes = [1, 2, 3, 4]
  .map(
    (n) =>
      `---\napiVersion: v1\nkind: Node\nmetadata: {name: n${n}}\nstatus: {addresses: [{type: InternalIP, address: 192.168.1.${n}}]}\n`,
  )
  .join("");
const pod = (name: string, node: string): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {nodeName: ${node}, containers: [{name: c, ports: [{containerPort: 80}]}]}}`;
const world = loadWorld(
  [
    { file: "pool.yaml", text: `${ipPool()}${nodes}` },
    { file: "pod.yaml", text: pod("a", "n1") },
  ],
  "calico",
);

describe("a cluster on Calico that changes", () => {
  it("has a route to a node's block from its first pod on, to its last", () => {
    const view = play(
      world,
      `
  - apply: [${pod("b", "n4")}]
  - request: {from: default/a, to: "default/b:80"}
    expect: {outcome: delivered, by: default/b}
  - {at: 10s, delete: {object: pod default/b, grace: 0s}}
  - {at: 20s, wait: 1s}`,
    );
    expect(failures(view)).toEqual([]);
    expect(commandsOn(view, "n1", "calico")).toEqual([
      "ip route add 10.244.0.192/26 via 192.168.1.4 dev eth0 proto bird",
      "ip route del 10.244.0.192/26 via 192.168.1.4 dev eth0 proto bird",
    ]);
    expect(commandsOn(view, "n4", "calico")).toEqual([
      "ip route add blackhole 10.244.0.192/26 proto bird",
      "ip route del blackhole 10.244.0.192/26 proto bird",
    ]);
  });
});
