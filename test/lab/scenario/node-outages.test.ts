import { describe, expect, it } from "vitest";
import type { ScenarioView } from "../../../src/view/scenario.js";
import { loadWorld } from "../../../src/lab/world.js";
import { mistakesOf, shown, topology } from "../../kube/texts.js";
import { commandsOn, failures, play } from "./worlds.js";

const shop = loadWorld(topology("shop"), "demo:shop");

const cart = `
  - apply:
      - apiVersion: apps/v1
        kind: Deployment
        metadata: {name: cart, namespace: shop}
        spec:
          replicas: 1
          selector: {matchLabels: {app: cart}}
          template:
            metadata: {labels: {app: cart}}
            spec: {nodeSelector: {}, containers: [{name: c, ports: [{containerPort: 80}]}]}
      - apiVersion: v1
        kind: Service
        metadata: {name: cart, namespace: shop}
        spec: {clusterIP: 10.96.44.80, selector: {app: cart}, ports: [{port: 80}]}`;

/** What was told of objects in whose name this is, with the second. */
function toldOf({ steps }: ScenarioView, name: RegExp): readonly string[] {
  return steps
    .flatMap(({ step }) => [...step.before, ...step.events])
    .flatMap((event) =>
      event.kind === "object" && name.test(event.object)
        ? [
            `${Math.floor(event.time / 1_000_000)} ${event.object.replace(/cart-\w+-\w+$/, "cart")}: ${event.why}`,
          ]
        : [],
    );
}

describe("a node that cannot be reached", () => {
  it("keeps its endpoints for 50 s, loses them then, and has them back when it is", () => {
    const view = play(
      shop,
      `
  - down: worker-1
  - request: {from: worker-2, to: "10.244.1.6:8080", for: 4s}
    expect: {outcome: no-neighbour}
  - {at: 60s, wait: 1s}
  - {at: 100s, up: worker-1}
  - request: {from: worker-2, to: "10.244.1.6:8080"}
    expect: {outcome: delivered, by: shop/api-0}`,
    );
    expect(failures(view)).toEqual([]);
    expect(toldOf(view, /^Node |endpoints of Service shop\/api/)).toEqual([
      "50 Node worker-1: Ready is Unknown: no heartbeat for 50 s",
      "50 endpoints of Service shop/api: 10.244.1.6 not ready, 10.244.2.5 ready",
      "100 Node worker-1: Ready",
      "100 endpoints of Service shop/api: 10.244.1.6 ready, 10.244.2.5 ready",
    ]);
    const syncs = commandsOn(view, "worker-1", "kube-proxy");
    expect(syncs.length).toBeLessThan(commandsOn(view, "worker-2", "kube-proxy").length);
  });

  it("has its pods deleted after 300 s, which end when it is back; a Deployment makes others at once", () => {
    const view = play(
      shop,
      `${cart}
  - down: worker-1
  - down: worker-2
  - {at: 400s, up: worker-1}
  - {at: 401s, up: worker-2}
  - {at: 440s, wait: 1s}
  - request: {from: cp-1, to: "10.96.44.80:80"}
    expect: {outcome: delivered}`,
    );
    expect(failures(view)).toEqual([]);
    const told = toldOf(view, /^Pod shop\/cart/);
    expect(told.filter((line) => /terminating|ended/.test(line))).toEqual([
      expect.stringContaining(
        "350 Pod shop/cart: terminating, grace 30 s: taint node.kubernetes.io/unreachable",
      ),
      expect.stringMatching(/^40\d Pod shop\/cart: it has ended$/),
    ]);
    // No node was left for the new pod until the first was back.
    expect(told.some((line) => line.startsWith("350 Pod shop/cart: 0/3 nodes"))).toBe(true);
  });

  it("that is none is refused with the nearest name", () => {
    expect(mistakesOf(() => play(shop, "  - down: worker-3")).map(shown)).toEqual([
      'test.yaml:4:11: there is no node "worker-3"\nhelp: did you mean worker-1?',
    ]);
  });
});
