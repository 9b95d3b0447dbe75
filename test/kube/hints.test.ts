import { describe, expect, test } from "vitest";
import { cluster } from "./texts.js";

/** Workers `a1 a2 … b1 …`: the first letter is the zone. */
const node = (name: string, cpu = "4"): string =>
  `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}, labels: {topology.kubernetes.io/zone: ${name.charAt(0)}}}\nstatus: {allocatable: {cpu: "${cpu}"}}\n`;
const pod = (name: string, on: string, ready = "True"): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: a}}\nspec: {nodeName: ${on}, containers: [{name: c}]}\nstatus: {phase: Running, conditions: [{type: Ready, status: "${ready}"}]}\n`;
const service = (spec: string, metadata = ""): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: s${metadata}}\nspec: {selector: {app: a}, ports: [{port: 80}]${spec}}\n`;

function hintsOf(...texts: readonly string[]): readonly string[] {
  return cluster(texts.join("---\n"))
    .endpointSlices.filter(
      ({ object }) => object.metadata?.labels?.["kubernetes.io/service-name"] === "s",
    )
    .flatMap(({ object }) => object.endpoints)
    .map(({ targetRef, hints }) => {
      const nodes = (hints as { forNodes?: { name: string }[] } | undefined)?.forNodes ?? [];
      const all = [...(hints?.forZones ?? []), ...nodes].map(({ name }) => name);
      return `${targetRef?.name ?? ""}:${all.join("+")}`;
    });
}

describe("spec.trafficDistribution", () => {
  const world = [node("a1"), node("b1"), pod("p", "a1"), pod("q", "b1"), pod("r", "b1", "False")];

  test.each(["PreferClose", "PreferSameZone"])(
    "%s sends a zone's clients to ready endpoints of the zone",
    (value) => {
      expect(hintsOf(...world, service(`, trafficDistribution: ${value}`))).toEqual([
        "p:a",
        "q:b",
        "r:",
      ]);
    },
  );

  test("PreferSameNode names the node, and the zone for when the node has none", () => {
    expect(hintsOf(...world, service(", trafficDistribution: PreferSameNode"))).toEqual([
      "p:a+a1",
      "q:b+b1",
      "r:",
    ]);
  });

  test("without it there are no hints", () => {
    expect(hintsOf(...world, service(""))).toEqual(["p:", "q:", "r:"]);
  });
});

describe("topology-mode: Auto", () => {
  const auto = service("", ', annotations: {"service.kubernetes.io/topology-mode": Auto}');
  const pods = (a: number, b: number): readonly string[] => [
    ...Array.from({ length: a }, (_, n) => pod(`p${n}`, "a1")),
    ...Array.from({ length: b }, (_, n) => pod(`q${n}`, "b1")),
  ];

  test("every endpoint serves its own zone where that is fair", () => {
    expect(hintsOf(node("a1"), node("b1"), ...pods(2, 2), auto)).toEqual([
      "p0:a",
      "p1:a",
      "q0:b",
      "q1:b",
    ]);
  });

  test("a zone with more than its share gives endpoints to one with fewer", () => {
    expect(hintsOf(node("a1"), node("b1"), ...pods(5, 1), auto)).toEqual([
      "p0:b",
      "p1:b",
      "p2:a",
      "p3:a",
      "p4:a",
      "q0:b",
    ]);
  });

  test("shares follow the processors of the workers", () => {
    expect(hintsOf(node("a1", "9"), node("b1", "3000m"), ...pods(2, 2), auto)).toEqual([
      "p0:a",
      "p1:a",
      "q0:a",
      "q1:b",
    ]);
  });

  test.each([
    ["one zone", [node("a1"), node("a2"), ...pods(3, 0)]],
    ["a node without processors", [node("a1"), node("b1").replace("cpu", "none"), ...pods(2, 2)]],
    ["fewer endpoints than zones", [node("a1"), node("b1"), ...pods(1, 0)]],
    ["a zone that would be too busy", [node("a1"), node("b1", "7"), ...pods(1, 1)]],
  ])("%s: no hints", (_, texts) => {
    expect(hintsOf(...texts, auto).every((text) => text.endsWith(":"))).toBe(true);
  });
});
