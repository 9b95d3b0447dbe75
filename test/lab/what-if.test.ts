import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import type { Recording } from "../../src/core/recording.js";
import type { Simulation } from "../../src/core/simulation.js";
import { type InputText, loadObjects } from "../../src/kube/load.js";
import { splitObjectName } from "../../src/lab/named-object.js";
import { type TraceRequest, traceRequest } from "../../src/lab/trace.js";
import { traceBranches } from "../../src/lab/what-if/branches.js";
import { setField } from "../../src/lab/what-if/edit-objects.js";
import { nodeSetting, ruleDeletion } from "../../src/lab/what-if/node-settings.js";
import { loadWhatIf, type WhatIf } from "../../src/lab/what-if/what-if.js";
import type { World } from "../../src/lab/world.js";
import { createLinux } from "../../src/tools/stack.js";
import { verdictName } from "../../src/view/outcome.js";
import { viewOf } from "../../src/view/trace-view.js";
import { demoWorld } from "../cli/demo-world.js";

const texts = demoWorld("shop").files;

/** Without policies kube-proxy's own rules are the last word. */
const open = texts.filter(({ file }) => !file.startsWith("policies/"));

function whatIf(changes: Partial<WhatIf>, given: readonly InputText[] = texts): World {
  return loadWhatIf(given, "demo:shop", { patches: [], set: [], without: [], ...changes });
}

function request(source: string, destination: string): TraceRequest {
  return {
    source,
    destination,
    protocol: "tcp",
    sourcePort: 40_000,
    ttl: undefined,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
  };
}

function verdict(world: World, source: string, destination: string): string {
  return verdictName(viewOf(traceRequest(world, request(source, destination))).verdict);
}

function arrivalOf({ events }: Recording): string | undefined {
  return events.find((event) => event.kind === "delivered" && event.to.startsWith("socket"))?.ns;
}

describe("a manifest applied over a world", () => {
  it("keeps what the server alone writes: addresses, ports, status and the node", () => {
    const world = whatIf(
      {
        patches: [
          {
            file: "new.yaml",
            text: `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  selector: {app: api}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: shop, labels: {app: database}}
spec: {containers: [{name: db, ports: [{containerPort: 5432}]}]}
`,
          },
        ],
      },
      open,
    );
    if (world.kind !== "cluster") throw new Error("a cluster");
    const service = world.cluster.services.find(({ object }) => object.metadata?.name === "web");
    expect(service?.object.spec).toMatchObject({
      clusterIP: "10.96.44.30",
      ports: [{ port: 80, nodePort: 30_080 }],
    });
    const pod = world.cluster.pods.find(({ key }) => key === "shop/db-0");
    expect(pod).toMatchObject({
      node: "worker-2",
      loaded: { object: { status: { podIP: "10.244.2.6" } } },
    });
    // Its labels changed, so the Service has lost its only endpoint.
    expect(verdict(world, "shop/api-0", "shop/db:5432")).toBe("NO-ENDPOINT");
    expect(arrivalOf(traceRequest(world, request("203.0.113.9", "worker-2:30080")))).toMatch(/api/);
  });

  it("takes rules of a node in place of the node's own file", () => {
    const rules = (target: string): string =>
      `*filter\n-A FORWARD -s 10.244.1.0/24 -p tcp -m tcp --dport 5432 -j ${target}\nCOMMIT\n`;
    const base = [...open, { file: "worker-2.rules", text: rules("DROP") }];
    const changes = {
      patches: [{ file: "new/worker-2.rules", text: rules("ACCEPT") }],
      set: [],
      without: [],
    };
    const before = loadWhatIf(base, "w", { ...changes, patches: [] });
    expect(verdict(before, "shop/api-0", "shop/db:5432")).toBe("DROPPED");
    expect(verdict(loadWhatIf(base, "w", changes), "shop/api-0", "shop/db:5432")).toBe("DELIVERED");
  });
});

describe("a setting", () => {
  it.each([
    ["svc/shop/web.spec.externalTrafficPolicy=Local", "203.0.113.9", "worker-2:30080", "DROPPED"],
    ["svc/shop/web.externalTrafficPolicy=Local", "203.0.113.9", "worker-1:30080", "DELIVERED"],
    ["pod/shop/web-0.metadata.labels.app=other", "203.0.113.9", "worker-2:30080", "NO-ENDPOINT"],
    ["svc/shop/db.ports[0].targetPort=5433", "shop/api-0", "shop/db:5432", "DENIED"],
    ["svc/shop/web.ports[0].targetPort=8081", "shop/api-0", "shop/web:80", "NOT-LISTENING"],
    ["policy/shop/db-from-api.ingress=[]", "shop/api-0", "shop/db:5432", "DENIED"],
    ["worker-1.net.ipv4.ip_forward=0", "shop/web-0", "shop/db:5432", "NO-ROUTE"],
    ["worker-2.eth0.up=off", "shop/api-0", "shop/db:5432", "NO-NEIGHBOUR"],
  ])("%s: %s -> %s is %s", (set, source, destination, expected) => {
    expect(verdict(whatIf({ set: [set] }), source, destination)).toBe(expected);
  });

  it("of a bridge port turns hairpin off, and the verdict says that it was the bridge", () => {
    const port = "vethb8e5035a";
    const hairpin = { ...request("shop/api-0", "shop/api:80"), endpoint: "shop/api-0" };
    const sent = viewOf(traceRequest(whatIf({}), hairpin));
    expect(sent.steps.map(({ effect }) => effect)).toContain(
      `out ${port} = in ${port}: hairpin_mode on`,
    );
    const off = whatIf({ set: [`worker-1.${port}.hairpin_mode=off`] });
    const { verdict: refused } = viewOf(traceRequest(off, hairpin));
    expect(verdictName(refused)).toBe("DROPPED");
    expect(refused.because).toMatch(
      /^bridge cni0 of worker-1: \S+: it came in by vethb8e5035a and hairpin is off there$/,
    );
  });

  it("of a device that is not on the packet's path changes nothing", () => {
    const world = whatIf({ set: ["worker-2.eth0.mtu=1400"] });
    expect(verdict(world, "shop/web-0", "shop/api-0:8080")).toBe("DELIVERED");
  });

  it.each([
    ["worker-1.eth7.mtu=1400", 'worker-1 has no device "eth7"', "did you mean eth0?"],
    ["worker-1.eth0.mtuu=1400", 'a device has no "mtuu"', 'did you mean "mtu"?'],
    ["worker-1.eth0.hairpin=maybe", 'it is on or off, not "maybe"', undefined],
    ["worker-9.eth0.mtu=1400", "is about no node, pod or object", "did you mean worker-1.…?"],
    ["svc/shop/wbe.sessionAffinity=ClientIP", 'no Service "shop/wbe"', "did you mean shop/web?"],
    [
      "svc/shop/web.sesionAffinity=ClientIP",
      'unknown field "sesionAffinity"',
      'did you mean "sessionAffinity"?',
    ],
    ["svc/shop/web.externalTrafficPolicy=Locl", "externalTrafficPolicy must be", undefined],
    ["svc/shop/web.ports[7].port=1", "there is no", undefined],
    ["svc/shop/web=x", "", undefined],
    ["svc/shop/web.spec.__proto__.x=1", "is no way to a field", undefined],
    ["worker-1.eth0.mtu", "gives no value", undefined],
    ["svc/shop/web.sessionAffinity", "gives no value", undefined],
  ])("--set %s is refused with what is wrong", (set, message, help) => {
    expect(() => whatIf({ set: [set] })).toThrow(
      expect.objectContaining({
        name: "UserError",
        message: expect.stringContaining(message),
        ...(help === undefined ? {} : { details: expect.objectContaining({ help }) }),
      }),
    );
  });
});

describe("what a person types", () => {
  const load = loadObjects(texts.filter(({ kind }) => kind === "kubernetes"));
  const namespaces = ["worker-1", "shop/web-0"];
  const build = (): Simulation => createLinux({ seed: 1 });
  const words = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc
      .tuple(
        fc.constantFrom("svc/shop/web", "pod/shop/db-0", "worker-1", "rule/", "worker-1 filter "),
        fc.constantFrom(".", "[", ".spec.", ".ports[0].", ".eth0.", "FORWARD[", ".net.ipv4.", ""),
        fc.string({ maxLength: 20 }),
        fc.constantFrom("", "=", "=1", "={", "=[]", ":3"),
      )
      .map((parts) => parts.join("")),
  );

  it("throws nothing but UserError, whatever it is", () => {
    const harmless = (act: () => void): void => {
      try {
        act();
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
      }
    };
    fc.assert(
      fc.property(words, (text) => {
        if (splitObjectName(text.split("=")[0] ?? "") !== undefined)
          harmless(() => void setField(load, text, "w"));
        harmless(() => void nodeSetting(text, namespaces, build));
        harmless(() => void ruleDeletion(text, namespaces, build));
      }),
      { numRuns: 300 },
    );
  });
});

describe("a world without something", () => {
  it.each([
    ["policy/shop/db-from-api", "shop/web-0", "shop/db:5432", "DELIVERED"],
    ["pod/shop/web-0", "203.0.113.9", "worker-2:30080", "NO-ENDPOINT"],
    ["worker-2 nat PREROUTING[1]", "shop/api-1", "shop/db:5432", "NO-ROUTE"],
  ])("%s: %s -> %s is %s", (without, source, destination, expected) => {
    const world = whatIf({ without: [without] });
    expect(verdict(world, source, destination)).toBe(expected);
  });

  it("loses the rules of a Service with it", () => {
    const world = whatIf({ without: ["svc/shop/db"] });
    expect(verdict(world, "shop/api-0", "10.96.44.20:5432")).not.toBe("DELIVERED");
    expect(() => verdict(world, "shop/api-0", "shop/db:5432")).toThrow("no pod, service or node");
  });

  it("deletes a rule by its place, whatever its number is where fewer pods are built", () => {
    const line =
      '*filter\n-A FORWARD -d 10.244.2.6/32 -p tcp -m comment --comment "no $db; here" -j DROP\nCOMMIT\n';
    const base = [...open, { file: "worker-2.rules", text: line }];
    const load = (without: readonly string[]): World =>
      loadWhatIf(base, "w", { patches: [], set: [], without });
    expect(verdict(load([]), "shop/api-0", "shop/db:5432")).toBe("DROPPED");
    expect(verdict(load(["worker-2.rules:2"]), "shop/api-0", "shop/db:5432")).toBe("DELIVERED");
    expect(verdict(load(["rule/worker-2.rules:2:1"]), "shop/api-0", "shop/db:5432")).toBe(
      "DELIVERED",
    );
  });

  it.each([
    ["policy/shop/db-from-apy", "did you mean shop/db-from-api?"],
    ["polcy/shop/db-from-api", "did you mean policy/…?"],
    ["worker-3 filter FORWARD[1]", "did you mean worker-1?"],
    ["worker-2.rules:99", "hopwise show rules NODE prints them"],
  ])("--without %s is refused with %s", (without, help) => {
    expect(() => whatIf({ without: [without] })).toThrow(
      expect.objectContaining({
        name: "UserError",
        details: expect.objectContaining({ help: expect.stringContaining(help) }),
      }),
    );
  });
});

describe("where rules decide by chance", () => {
  /** A Service with `count` pods, on both workers. */
  function many(count: number): World {
    const pods = Array.from(
      { length: count },
      (_, index) => `---
apiVersion: v1
kind: Pod
metadata: {name: many-${index}, namespace: batch, labels: {app: many}}
spec: {nodeName: worker-${(index % 2) + 1}, containers: [{name: c, ports: [{containerPort: 9000}]}]}
`,
    ).join("");
    const service = `apiVersion: v1
kind: Service
metadata: {name: many, namespace: batch}
spec: {clusterIP: 10.96.44.99, selector: {app: many}, ports: [{port: 9000}]}
`;
    return loadWhatIf([...texts, { file: "many.yaml", text: service + pods }], "w", {
      patches: [],
      set: [],
      without: [],
    });
  }

  it("every endpoint is one branch with its own share, and the shares add up to 1", () => {
    const { branches, rest } = traceBranches(many(5), request("shop/web-0", "batch/many:9000"));
    expect(rest).toBe(0);
    expect(branches).toHaveLength(5);
    for (const { chance } of branches) expect(chance).toBeCloseTo(0.2, 6);
    expect(new Set(branches.map(({ recording }) => arrivalOf(recording))).size).toBe(5);
  });

  it("an endpoint that is asked for is reached at once, from outside over a node port too", () => {
    const world = whatIf({ set: ["svc/shop/web.selector.app=api"] }, open);
    for (const pod of ["shop/api-0", "shop/api-1"]) {
      const asked = { ...request("203.0.113.9", "worker-2:30080"), endpoint: pod };
      const recording = traceRequest(world, asked);
      expect(arrivalOf(recording)).toBe(pod);
      expect(recording.notes).toContain(`${pod} is chosen by --endpoint; by chance it has 50%`);
      expect(recording.seed).toBe(1);
    }
  });

  it("a pod that is no endpoint is never reached", () => {
    const asked = { ...request("shop/web-0", "shop/api:80"), endpoint: "shop/db-0" };
    expect(() => traceRequest(whatIf({}), asked)).toThrow("this request never comes to shop/db-0");
  });

  it("a rule that drops half of what passes makes two branches, one of them dropped", () => {
    const rules =
      "*filter\n-A FORWARD -p tcp -m statistic --mode random --probability 0.25 -j DROP\nCOMMIT\n";
    const world = loadWhatIf([...open, { file: "worker-2.rules", text: rules }], "w", {
      patches: [],
      set: [],
      without: [],
    });
    const { branches } = traceBranches(world, request("shop/api-0", "shop/db:5432"));
    const shown = branches.map(({ chance, recording }) => [
      chance,
      verdictName(viewOf(recording).verdict),
    ]);
    expect(shown).toEqual([
      [0.25, "DROPPED"],
      [0.75, "DELIVERED"],
    ]);
  });
});

describe("a pod that a workload makes", () => {
  const workload = {
    file: "cart.yaml",
    text: `apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.44.80, selector: {app: cart}, ports: [{port: 80}]}
`,
  };
  const given = [...open, workload];
  const podsIn = (world: World): readonly string[] =>
    world.kind === "cluster"
      ? world.cluster.pods.flatMap(({ key }) => (key.startsWith("shop/cart-") ? [key] : []))
      : [];

  it("can be left out: its Service has one endpoint fewer, and the note says what that means", () => {
    const [gone = "", left = ""] = podsIn(whatIf({}, given));
    const world = whatIf({ without: [`pod/${gone}`] }, given);
    expect(podsIn(world)).toEqual([left]);
    const { branches } = traceBranches(world, request("shop/web-0", "svc:shop/cart:80"));
    expect(branches.map(({ recording }) => arrivalOf(recording))).toEqual([left]);
    expect(branches[0]?.recording.notes).toContain(
      `without Pod ${gone}: Deployment shop/cart is taken to have one pod fewer; in a cluster it would make another`,
    );
  });

  it("that is none is refused with the nearest name", () => {
    const [one = ""] = podsIn(whatIf({}, given));
    expect(() => whatIf({ without: [`pod/${one.slice(0, -1)}`] }, given)).toThrow(
      `no Pod "${one.slice(0, -1)}" to leave out`,
    );
  });
});

describe("every way of a name with several addresses", () => {
  const headless = {
    file: "peers.yaml",
    text: "apiVersion: v1\nkind: Service\nmetadata: {name: peers, namespace: shop}\nspec: {clusterIP: None, selector: {app: api}, ports: [{port: 8080}]}\n",
  };

  it("goes to each address that DNS may put first, all alike", () => {
    const world = whatIf({}, [...open, headless]);
    const { branches, rest } = traceBranches(world, request("shop/web-0", "http://peers:8080"));
    expect(rest).toBe(0);
    expect(branches.map(({ chance, recording }) => [chance, arrivalOf(recording)])).toEqual([
      [0.5, "shop/api-0"],
      [0.5, "shop/api-1"],
    ]);
    expect(branches[1]?.recording.lookup).toMatchObject({
      address: "10.244.2.5",
      choices: ["10.244.1.6", "10.244.2.5"],
    });
  });

  it("has one way where the Corefile does not shuffle", () => {
    const plain = [...open, headless].map(({ file, text }) => ({
      file,
      text: text.replaceAll(/^\s*loadbalance\n/gm, ""),
    }));
    const { branches } = traceBranches(
      whatIf({}, plain),
      request("shop/web-0", "http://peers:8080"),
    );
    expect(branches).toHaveLength(1);
  });
});
