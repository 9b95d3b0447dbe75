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
