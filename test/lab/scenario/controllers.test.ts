import { describe, expect, it } from "vitest";
import { loadWorld } from "../../../src/lab/world.js";
import type { ScenarioView } from "../../../src/view/scenario.js";
import { failures, play, shippedWorld } from "./worlds.js";

const shop = shippedWorld("shop");

/** What became of pods of a name, in order: `created db-0`. */
function podsOf({ steps }: ScenarioView, name: RegExp): readonly string[] {
  return steps
    .flatMap(({ step }) => [...step.before, ...step.events])
    .flatMap((event) =>
      event.kind === "object" && name.test(event.object) && event.object.startsWith("Pod ")
        ? [
            `${event.why.startsWith("terminating") ? "terminating" : event.action} ${event.object.slice("Pod shop/".length)}`,
          ]
        : [],
    );
}

const statefulSet = (replicas: number, policy = "OrderedReady"): string => `
      - apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: cache, namespace: shop}
        spec:
          replicas: ${replicas}
          podManagementPolicy: ${policy}
          serviceName: cache
          selector: {matchLabels: {app: cache}}
          template:
            metadata: {labels: {app: cache}}
            spec: {terminationGracePeriodSeconds: 5, containers: [{name: c, ports: [{containerPort: 80}], readinessProbe: {periodSeconds: 2}}]}`;

describe("a StatefulSet that grows and shrinks", () => {
  it("makes no pod while the one before it is not ready", () => {
    const view = play(
      shop,
      `
  - apply:${statefulSet(1)}
  - ready: {shop/cache-0: false}
  - apply:${statefulSet(3)}
  - {at: 10s, wait: 1s}
  - ready: {shop/cache-0: true}
  - {at: 20s, wait: 1s}`,
    );
    expect(podsOf(view, /cache-/)).toEqual([
      "created cache-0",
      "changed cache-0",
      "changed cache-0",
      "created cache-1",
      "created cache-2",
    ]);
  });

  it("takes pods away one by one, the last first", () => {
    const view = play(
      shop,
      `
  - apply:${statefulSet(3)}
  - apply:${statefulSet(1)}
  - {at: 30s, wait: 1s}`,
    );
    expect(podsOf(view, /cache-/).slice(3)).toEqual([
      "terminating cache-2",
      "deleted cache-2",
      "terminating cache-1",
      "deleted cache-1",
    ]);
  });

  it("does both at once where podManagementPolicy is Parallel", () => {
    const view = play(
      shop,
      `
  - apply:${statefulSet(1, "Parallel")}
  - ready: {shop/cache-0: false}
  - apply:${statefulSet(3, "Parallel")}
  - apply:${statefulSet(1, "Parallel")}
  - {at: 30s, wait: 1s}`,
    );
    expect(podsOf(view, /cache-/).slice(2)).toEqual([
      "created cache-1",
      "created cache-2",
      "terminating cache-1",
      "terminating cache-2",
      "deleted cache-1",
      "deleted cache-2",
    ]);
  });
});

describe("EndpointSlices of a dump, in a scenario", () => {
  const dump = `
apiVersion: v1
kind: Node
metadata: {name: n}
spec: {podCIDR: 10.244.0.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.1.1}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.50, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-abcde
  labels: {kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}
addressType: IPv4
ports: [{name: "", port: 80, protocol: TCP}]
endpoints:
  - {addresses: [10.244.0.5], conditions: {ready: true, serving: true, terminating: false}, nodeName: n, targetRef: {kind: Pod, namespace: default, name: web-0, uid: ""}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec: {nodeName: n, containers: [{name: c, ports: [{containerPort: 80}]}]}
status: {podIP: 10.244.0.5}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: n, containers: [{name: c}]}
`;

  it("follow the pods, as the controller that made them sees to it", () => {
    const view = play(
      loadWorld([{ file: "dump.yaml", text: dump }], "dump"),
      `
  - request: {from: default/client, to: "default/web:80"}
    expect: {outcome: delivered, by: default/web-0}
  - delete: {object: pod default/web-0, grace: 0s}
  - request: {from: default/client, to: "default/web:80"}
    expect: {outcome: no-endpoint}
  - apply: [{apiVersion: v1, kind: Pod, metadata: {name: web-1, labels: {app: web}}, spec: {nodeName: n, containers: [{name: c, ports: [{containerPort: 80}]}]}}]
  - request: {from: default/client, to: "default/web:80"}
    expect: {outcome: delivered, by: default/web-1}`,
    );
    expect(failures(view)).toEqual([]);
  });
});
