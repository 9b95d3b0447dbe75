import { describe, expect, it } from "vitest";
import { commandsOn, failures, play, shippedWorld } from "./worlds.js";

const shop = shippedWorld("shop");

/** A UDP Service and two pods that echo; the second comes at 10 s. */
const echo = `
  - apply:
      - apiVersion: v1
        kind: Service
        metadata: {name: echo, namespace: shop}
        spec: {clusterIP: 10.96.44.70, selector: {app: echo}, ports: [{name: echo, port: 7, protocol: UDP}]}
      - &echo
        apiVersion: v1
        kind: Pod
        metadata: {name: echo-0, namespace: shop, labels: {app: echo}}
        spec: {nodeName: worker-2, containers: [{name: echo, ports: [{containerPort: 7, protocol: UDP}]}]}
  - open: {name: client, from: shop/web-0, to: "shop/echo:7", proto: udp, sport: 40000}
    expect: {outcome: delivered, by: shop/echo-0}
  - at: 10s
    apply: [{<<: *echo, metadata: {name: echo-1, namespace: shop, labels: {app: echo}}}]
  - send: client
    expect: {outcome: delivered, by: shop/echo-0}
`;

describe("a UDP client whose endpoint is deleted", () => {
  it("finds the other endpoint when kube-proxy forgot its connection", () => {
    const view = play(
      shop,
      `${echo}
  - {at: 20s, delete: {object: pod shop/echo-0, grace: 0s}}
  - {send: client, expect: {outcome: delivered, by: shop/echo-1}}`,
    );
    expect(failures(view)).toEqual([]);
    expect(commandsOn(view, "worker-1", "kube-proxy").filter((one) => one.includes("-D"))).toEqual([
      "conntrack -D -p udp --orig-dst 10.96.44.70 --dport 7 --reply-src 10.244.2.8",
    ]);
  });

  it("goes on to the dead endpoint without the cleanup", () => {
    const view = play(
      shop,
      `${echo}
  - {at: 20s, delete: {object: pod shop/echo-0, grace: 0s}}
  - {send: client, expect: {by: nobody}}
  - {at: 60s, request: {from: shop/web-0, to: "shop/echo:7", proto: udp, sport: 40001}, expect: {outcome: delivered, by: shop/echo-1}}`,
      "settings: {conntrackCleanup: false}",
    );
    expect(failures(view)).toEqual([]);
  });
});

describe("a cluster that changes", () => {
  const replicas = `
  - apply:
      - apiVersion: apps/v1
        kind: Deployment
        metadata: {name: cart, namespace: shop}
        spec:
          replicas: 2
          selector: {matchLabels: {app: cart}}
          template:
            metadata: {labels: {app: cart}}
            spec: {containers: [{name: cart, ports: [{containerPort: 8080}], readinessProbe: {periodSeconds: 5}}]}
      - apiVersion: v1
        kind: Service
        metadata: {name: cart, namespace: shop}
        spec: {clusterIP: 10.96.44.80, selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]}
`;
  const pods = (view: ReturnType<typeof play>): readonly string[] =>
    view.steps
      .flatMap(({ step }) => [...step.before, ...step.events])
      .flatMap((event) =>
        event.kind === "object" && event.object.startsWith("Pod shop/cart") && event.by !== "you"
          ? [`${event.action} ${event.object}`]
          : [],
      );

  it("makes another pod of a Deployment for one that is deleted", () => {
    const [first = ""] = pods(play(shop, `${replicas}  - wait: 1s`)).map(
      (line) => line.split(" ")[2] ?? "",
    );
    const view = play(
      shop,
      `${replicas}
  - delete: {object: pod ${first}, grace: 10s}
  - at: 1s
    request: {from: ${first}, to: "svc:shop/cart:80", sport: 40000}
    expect: delivered
  - wait: 20s`,
    );
    expect(failures(view)).toEqual([]);
    const told = pods(view);
    expect(told.map((line) => line.split(" ")[0])).toEqual([
      ...["created", "created", "changed", "created", "deleted"],
    ]);
    expect(told.filter((line) => line.endsWith(first)).map((line) => line.split(" ")[0])).toEqual([
      ...["created", "changed", "deleted"],
    ]);
  });

  it("takes pods away when their workload shrinks, and all when it is deleted", () => {
    const view = play(
      shop,
      `${replicas}
  - request: {from: shop/web-0, to: "http://cart.shop"}
    expect: delivered
  - patch: {object: deployment shop/cart, merge: {spec: {replicas: 1}}}
  - at: 40s
    request: {from: shop/web-0, to: "svc:shop/cart:80"}
    expect: delivered
  - delete: deployment shop/cart
  - at: 80s
    request: {from: worker-1, to: "svc:shop/cart:80"}
    expect: no-endpoint`,
    );
    expect(failures(view)).toEqual([]);
    const told = pods(view).map((line) => line.split(" ")[0]);
    expect(told).toEqual(["created", "created", "changed", "deleted", "changed", "deleted"]);
  });

  it("believes a readiness probe after as many answers as it asks for", () => {
    const probed = shippedWorld(
      "shop",
      `
apiVersion: v1
kind: Pod
metadata: {name: slow-0, namespace: shop, labels: {app: slow}}
spec: {nodeName: worker-2, containers: [{name: slow, ports: [{containerPort: 80}], readinessProbe: {periodSeconds: 5}}]}
---
apiVersion: v1
kind: Service
metadata: {name: slow, namespace: shop}
spec: {clusterIP: 10.96.44.81, selector: {app: slow}, ports: [{port: 80}]}
`,
    );
    const view = play(
      probed,
      `
  - probe: {shop/slow-0: fails}
  - {at: 14s, request: {from: worker-1, to: "shop/slow:80"}, expect: delivered}
  - {at: 16s, request: {from: worker-1, to: "shop/slow:80"}, expect: no-endpoint}
  - probe: {shop/slow-0: succeeds}
  - {at: 22s, request: {from: worker-1, to: "shop/slow:80"}, expect: delivered}`,
    );
    expect(failures(view)).toEqual([]);
  });

  it("answers names of Services that came later, and by the DNS pod that is left", () => {
    const view = play(
      shop,
      `
  - delete: {object: pod kube-system/coredns-0, grace: 0s}
  - apply:
      apiVersion: v1
      kind: Service
      metadata: {name: late, namespace: shop}
      spec: {clusterIP: 10.96.44.82, selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}
  - request: {from: shop/web-0, to: "http://late.shop"}
    expect: delivered
  - delete: {object: pod kube-system/coredns-1, grace: 0s}
  - request: {from: shop/web-0, to: "http://late.shop"}
    expect: no-name`,
    );
    expect(failures(view)).toEqual([]);
  });

  it("sends new connections to a dead endpoint as long as kube-proxy has not synced", () => {
    const view = play(
      shop,
      `
  - delete: {object: pod shop/db-0, grace: 0s}
  - request: {from: shop/api-0, to: "shop/db:5432", sport: 40000, for: 500ms}
    expect: {by: nobody}
  - at: 5s
    request: {from: worker-1, to: "shop/db:5432", sport: 40001}
    expect: no-endpoint`,
      "settings: {proxyDelay: 2s, policyDelay: 2s}",
    );
    expect(failures(view)).toEqual([]);
    expect(view.recording.settings).toEqual([
      "kube-proxy syncs 2 s after a change",
      "kube-router syncs 2 s after a change",
    ]);
  });

  it("keeps a host port as long as its pod, and gives it back", () => {
    const view = play(
      shop,
      `
  - apply:
      apiVersion: v1
      kind: Pod
      metadata: {name: edge-0, namespace: shop}
      spec: {nodeName: worker-2, containers: [{name: edge, ports: [{containerPort: 80, hostPort: 8088}]}]}
  - request: {from: worker-1, to: "worker-2:8088"}
    expect: {outcome: delivered, by: shop/edge-0}
  - delete: {object: pod shop/edge-0, grace: 0s}
  - request: {from: worker-1, to: "worker-2:8088"}
    expect: not-listening`,
    );
    expect(failures(view)).toEqual([]);
  });

  it("gives a new pod the address after the one given last, and not that of a pod that is gone", () => {
    const pod = (name: string): string =>
      `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, namespace: shop}, spec: {nodeName: worker-2, containers: [{name: c}]}}`;
    const view = play(
      shop,
      `
  - apply: ${pod("one")}
  - delete: {object: pod shop/one, grace: 0s}
  - apply: ${pod("two")}
  - run: {shop/two: ip addr show eth0}
    expect: {prints: 10.244.2.9/24}`,
    );
    expect(failures(view)).toEqual([]);
  });
});
