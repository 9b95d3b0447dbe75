import { describe, expect, it } from "vitest";
import { commandsOn, failures, play, shippedWorld } from "../../lab/scenario/worlds.js";

/*
 * Spec 1.11: whether a connection outlives a policy that no longer allows it is left to the plugin. kube-router's rules
 * accept what conntrack calls ESTABLISHED before they ask any policy, so it does, until conntrack forgets it.
 */

const deny = "object: networkpolicy shop/db-from-api\n      merge: {spec: {ingress: []}}";
const admit =
  "object: networkpolicy shop/db-from-api\n      merge: {spec: {ingress: [{from: [{podSelector: {}}]}]}}";

describe("a connection that was open when a policy changed", () => {
  it("outlives a policy that now denies it, and a new one is refused", () => {
    const view = play(
      shippedWorld("shop"),
      `  - open: {name: old, from: shop/api-0, to: "shop/db-0:5432", sport: 40000}
    expect: {outcome: delivered}
  - at: 10s
    patch:
      ${deny}
  - send: old
    expect: {outcome: delivered, by: shop/db-0}
  - request: {from: shop/api-0, to: "shop/db-0:5432", sport: 40001}
    expect: denied
`,
    );
    expect(failures(view)).toEqual([]);
    // The rules were written anew on the server's node, so it is not that nobody noticed.
    expect(commandsOn(view, "worker-2", "kube-router").join("\n")).toContain("iptables-restore");
  });

  it("does not come back once conntrack has forgotten it", () => {
    const view = play(
      shippedWorld("shop"),
      `  - open: {name: old, from: shop/api-0, to: "shop/db-0:5432", sport: 40000}
    expect: {outcome: delivered}
  - at: 10s
    patch:
      ${deny}
  - run: {worker-2: conntrack -D -p tcp --orig-src 10.244.1.6}
  - send: {on: old, for: 3s}
    expect: denied
`,
    );
    expect(failures(view)).toEqual([]);
  });

  it("is let in at once where it was refused, when a policy allows it", () => {
    const view = play(
      shippedWorld("shop"),
      `  - request: {from: shop/web-0, to: "shop/db-0:5432", sport: 40000}
    expect: denied
  - at: 10s
    patch:
      ${admit}
  - request: {from: shop/web-0, to: "shop/db-0:5432", sport: 40000}
    expect: delivered
`,
    );
    expect(failures(view)).toEqual([]);
  });
});
