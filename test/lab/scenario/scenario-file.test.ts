import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { parseScenario } from "../../../src/lab/scenario/scenario-file.js";
import type { Scenario } from "../../../src/lab/scenario/scenario.js";
import { formatErrors } from "../../../src/view/error-text.js";
import { play, shippedWorld } from "./worlds.js";

const read = (text: string): Scenario => parseScenario({ file: "s.yaml", text });

/** What the command line would say. */
function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof UserError || error instanceof UserErrors) return formatErrors(error);
    throw error;
  }
  return "no error";
}

const steps = (text: string): string => refusal(() => read(`scenario: s\nsteps:\n${text}\n`));

describe("a scenario file", () => {
  it("says when, what and what must come of it", () => {
    const { steps: read1, settings } = read(`scenario: s
settings: {conntrackCleanup: false, proxyDelay: 1.5s}
steps:
  - {at: 2m, about: why, wait: 250ms}
  - open: {name: c, from: a, to: "b:1", proto: udp, sport: 7, for: 1s, data: x}
    expect: reply-dropped
  - delete: pod/shop/x
`);
    expect(settings).toEqual({ conntrackCleanup: false, proxyDelay: 1_500_000, policyDelay: 0 });
    expect(read1.map(({ action, at, about }) => ({ action, at, about }))).toEqual([
      { action: { kind: "wait", time: 250_000 }, at: 120_000_000, about: "why" },
      {
        action: {
          kind: "open",
          name: "c",
          request: {
            from: "a",
            to: "b:1",
            protocol: "udp",
            sourcePort: 7,
            patience: 1_000_000,
            data: "x",
          },
        },
        at: undefined,
        about: "",
      },
      {
        action: {
          kind: "delete",
          object: expect.objectContaining({ kind: "pod", namespace: "shop", name: "x" }),
          grace: undefined,
          exits: undefined,
        },
        at: undefined,
        about: "",
      },
    ]);
    expect(read1[1]?.expect?.outcome).toBe("REPLY-DROPPED");
  });

  it.each([
    ["an unknown field", "  - {aplly: x}"],
    ["no action", "  - {about: nothing}"],
    ["two actions", "  - {wait: 1s, close: c}"],
    ["a time without a unit", "  - {wait: 10 parsecs}"],
    ["a month and a day", "  - {wait: 31d}"],
    ["at and after", "  - {at: 1s, after: 1s, wait: 1s}"],
    [
      "a connection that was never opened",
      "  - open: {name: client, from: a, to: b}\n  - send: cleint",
    ],
    [
      "a connection that was closed",
      "  - open: {name: c, from: a, to: b}\n  - close: c\n  - send: c",
    ],
    [
      "a name that is taken",
      "  - open: {name: c, from: a, to: b}\n  - open: {name: c, from: a, to: b}",
    ],
    ["a protocol nobody speaks", "  - request: {from: a, to: b, proto: upd}"],
    ["an outcome there is not", "  - request: {from: a, to: b}\n    expect: delivred"],
    ["an expectation of nothing", "  - wait: 1s\n    expect: delivered"],
    [
      "an expectation of another kind of step",
      "  - run: {n: ls}\n    expect: {outcome: delivered}",
    ],
    ["a port out of range", "  - request: {from: a, to: b, sport: 70000}"],
    ["no sender", "  - request: {to: b}"],
    ["a command with a pipe", '  - run: {n: "ls | wc"}'],
    ["an object without a name", "  - delete: pod"],
    ["a pod that is maybe ready", "  - ready: {shop/x: maybe}"],
    ["a probe that sleeps", "  - probe: {shop/x: fail}"],
    ["an object in a word", "  - apply: policies.yaml"],
    ["a patch of nothing", "  - patch: {object: pod shop/x}"],
  ])("%s is placed and explained", (_title, text) => {
    expect(steps(text)).toMatchSnapshot();
  });

  it("tells every mistake of a file at once", () => {
    expect(
      refusal(() => read("scenario: s\nseed: -1\nwrold: x\nsteps:\n  - {wait: soon}\n  - {}\n")),
    ).toMatchSnapshot();
    expect(refusal(() => read("- a list"))).toMatchSnapshot();
    expect(refusal(() => read("scenario: s\nsteps: []"))).toMatchSnapshot();
  });

  it("throws nothing but a UserError whatever it reads", () => {
    const word = fc.constantFrom(
      ...["scenario", "steps", "at", "wait", "open", "send", "apply", "run", "expect", "name"],
      ...["from", "to", "1s", "c", "pod shop/x", "delete", "ready", "patch", "merge", "object"],
    );
    const leaf = fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null), fc.string());
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(word, tie("value"), { maxKeys: 4 }),
      ),
    }));
    const step = fc.dictionary(word, value, { minKeys: 1, maxKeys: 3 });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 5 }), (list) => {
        refusal(() => read(JSON.stringify({ scenario: "s", steps: list })));
      }),
      { numRuns: 200 },
    );
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void refusal(() => read(text))));
  });
});

describe("a step that the world has nothing for", () => {
  const shop = shippedWorld("shop");
  const placed = (text: string): string => refusal(() => play(shop, text));

  it.each([
    ["a sender", '  - request: {from: shop/wbe-0, to: "shop/api:80"}'],
    ["a receiver", '  - request: {from: shop/web-0, to: "shop/apy:80"}'],
    ["an object", "  - delete: pod shop/wbe-0"],
    ["a kind", "  - delete: pdo shop/web-0"],
    ["an object to patch", "  - patch: {object: service shop/apy, merge: {spec: {}}}"],
    ["a pod", "  - ready: {shop/ap-0: false}"],
    ["a node", "  - run: {worker-9: ip addr}"],
    ["a probe", "  - probe: {shop/api-0: fails}"],
    ["a time that is over", "  - wait: 5s\n  - {at: 3s, wait: 1s}"],
    ["a month and a minute", "  - wait: 30d\n  - wait: 1m\n  - wait: 1m"],
    [
      "a field of an object",
      "  - apply: {apiVersion: v1, kind: Service, metadata: {name: x}, spec: {slector: {}}}",
    ],
    ["a field of a patch", "  - patch: {object: service shop/api, merge: {spec: {slector: {}}}}"],
    [
      "a policy that is wrong",
      "  - patch: {object: netpol shop/db-from-api, merge: {spec: {policyTypes: [Ingres]}}}",
    ],
    [
      "another node",
      "  - apply: {apiVersion: v1, kind: Node, metadata: {name: w3}, status: {addresses: [{type: InternalIP, address: 192.168.10.13}]}}",
    ],
    [
      "a second host outside",
      '  - request: {from: 203.0.113.9, to: "worker-1:30080"}\n  - request: {from: 203.0.113.10, to: "worker-1:30080"}',
    ],
    [
      "a node to move to",
      "  - apply: {apiVersion: v1, kind: Pod, metadata: {name: api-0, namespace: shop}, spec: {nodeName: worker-2, containers: [{name: c}]}}",
    ],
    [
      "a workload's pod",
      "  - apply: {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: q}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}}}\n  - patch: {object: pod q-0, merge: {spec: {}}}",
    ],
    [
      "a patch that renames",
      "  - patch: {object: service shop/api, merge: {metadata: {name: other}}}",
    ],
  ])("%s: is placed and explained", (_title, text) => {
    expect(placed(text)).toMatchSnapshot();
  });
});
