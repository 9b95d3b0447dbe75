import { describe, expect, it } from "vitest";
import { diffWorlds, isSame } from "../../src/lab/diff/diff-worlds.js";
import { loadWhatIf } from "../../src/lab/what-if/what-if.js";
import { loadWorld, type World } from "../../src/lab/world.js";
import { demoWorld } from "../cli/demo-world.js";

const shop = demoWorld("shop");

function changed(...set: readonly string[]): World {
  return loadWhatIf(shop.files, "changed", { patches: [], set, without: [] });
}

describe("two worlds compared", () => {
  it("a world is the same as itself", () => {
    const diff = diffWorlds(shop, demoWorld("shop"), undefined);
    expect(isSame(diff)).toBe(true);
    expect(diff).toMatchObject({ objects: [], rules: { changes: [], compared: 3, left: 0 } });
  });

  it("a field that changed is named with both values and its place, and so are the endpoints that follow from it", () => {
    const { objects = [] } = diffWorlds(
      shop,
      changed("svc/shop/web.ports[0].targetPort=8081"),
      undefined,
    );
    expect(objects).toEqual([
      {
        kind: "Service",
        name: "shop/web",
        change: "changed",
        place: { file: "20-shop.yaml", line: 12, column: 1 },
        fields: [{ path: "spec.ports[name=http].targetPort", before: 8080, after: 8081 }],
      },
      {
        kind: "endpoints of Service",
        name: "shop/web",
        change: "changed",
        place: { file: "20-shop.yaml", line: 12, column: 1 },
        fields: [
          {
            path: "endpoints[address=10.244.1.5].ports",
            before: "http=8080/TCP",
            after: "http=8081/TCP",
          },
        ],
      },
    ]);
  });

  it("rules that changed alike on several nodes are told once, each with the object it is for", () => {
    const { rules } = diffWorlds(shop, changed("svc/shop/web.ports[0].nodePort=30081"), undefined);
    expect(rules.changes.map(({ nodes }) => nodes)).toEqual([["cp-1", "worker-1", "worker-2"]]);
    expect(rules.changes).toMatchObject([
      {
        removed: [{ text: expect.stringContaining("--dport 30080 ") }],
        added: [
          {
            text: expect.stringContaining("--dport 30081 "),
            made: { objects: [{ kind: "Service", name: "shop/web" }] },
          },
        ],
      },
    ]);
  });

  it("objects that only one world has are added and removed, with the pairs that policies then open and close", () => {
    const without = loadWhatIf(shop.files, "w", {
      patches: [],
      set: [],
      without: ["policy/shop/db-from-api"],
    });
    const there = diffWorlds(shop, without, undefined);
    expect(there.objects).toMatchObject([{ kind: "NetworkPolicy", change: "removed" }]);
    expect(there.pairs).toMatchObject({ opened: 4, closed: 0 });
    const back = diffWorlds(without, shop, undefined);
    expect(back.objects).toMatchObject([{ kind: "NetworkPolicy", change: "added" }]);
    expect(back.pairs).toMatchObject({ opened: 0, closed: 4 });
  });

  it("what a cluster writes down about itself is no difference", () => {
    const pod = (metadata: string): World =>
      loadWorld(
        [
          ...shop.files,
          {
            file: "p.yaml",
            text: `apiVersion: v1\nkind: Pod\nmetadata: {name: p, ${metadata}}\nspec: {nodeName: worker-1, containers: [{name: c}]}\nstatus: {podIP: 10.244.1.9}\n`,
          },
        ],
        "w",
      );
    const diff = diffWorlds(
      pod("uid: a, resourceVersion: '1'"),
      pod("uid: b, resourceVersion: '2'"),
      undefined,
    );
    expect(diff.objects).toEqual([]);
  });

  it("rules of two dumps are compared where there are no objects", () => {
    const dump = (rule: string): World =>
      loadWorld(
        [{ file: "gw.rules", text: `*filter\n:FORWARD DROP [0:0]\n${rule}\nCOMMIT\n` }],
        "gw",
      );
    const { rules, objects } = diffWorlds(
      dump("[5:300] -A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT"),
      dump("[0:0] -A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT"),
      undefined,
    );
    expect(objects).toBeUndefined();
    expect(rules.changes).toMatchObject([
      {
        nodes: ["gw"],
        removed: [{ table: "filter", line: 3, file: "gw.rules" }],
        added: [{ table: "filter" }],
      },
    ]);
  });
});
