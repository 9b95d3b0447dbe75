import { describe, expect, it } from "vitest";
import { renderIptables } from "../../../src/kube/proxy/iptables.js";
import {
  configOf,
  golden,
  iptablesCases,
  nftablesCases,
  nodeOf,
  stateOf,
  type Inputs,
} from "./cases.js";
import { sortRestore } from "./sort-restore.js";
import { traceIptables } from "./trace-iptables.js";

const render = (inputs: Inputs): string =>
  renderIptables(stateOf(inputs), nodeOf(inputs.config), configOf(inputs.config)).text;

/** The tracer's node: its own addresses, and both loopbacks. */
const localIPs = (inputs: Inputs): string[] => [
  "127.0.0.1",
  "::1",
  ...nodeOf(inputs.config).localAddresses,
];

describe("the restore text of kube-proxy's iptables mode", () => {
  it.each(iptablesCases.map((one) => [one.id, one] as const))(
    "equals the recorded dump: %s",
    (_id, one) => {
      const recorded = one.expected.iptablesSorted ?? one.derived?.iptablesSorted;
      expect(recorded).toBeDefined();
      expect(sortRestore(render(one))).toBe(recorded);
    },
  );

  it.each(
    iptablesCases
      .filter(({ expected }) => expected.flows !== undefined)
      .map((one) => [one.id, one] as const),
  )("sends packets where upstream's tracer sends them: %s", (_id, one) => {
    const text = render(one);
    const traced = (one.expected.flows ?? []).map(({ output: _o, masq: _m, ...flow }) => ({
      ...flow,
      ...traceIptables(text, localIPs(one), flow),
    }));
    expect(traced).toEqual(one.expected.flows);
  });

  it.each(
    iptablesCases
      .filter(({ expected }) => expected.containsRules ?? expected.lacksRules)
      .map((one) => [one.id, one] as const),
  )("has the rules upstream looks for and lacks those it forbids: %s", (_id, one) => {
    const lines = render(one).split("\n");
    expect(lines).toEqual(expect.arrayContaining([...(one.expected.containsRules ?? [])]));
    for (const rule of one.expected.lacksRules ?? []) expect(lines).not.toContain(rule);
  });

  it.each(
    iptablesCases
      .filter(({ expected }) => expected.metrics !== undefined)
      .map((one) => [one.id, one] as const),
  )("counts the services without local endpoints as the metric does: %s", (_id, one) => {
    const { ports } = stateOf(one);
    expect({
      internal: ports.filter(({ internal }) => internal === "no local endpoints").length,
      external: ports.filter(({ external }) => external === "no local endpoints").length,
    }).toEqual(one.expected.metrics?.noLocalEndpoints);
  });

  it("equals the restore input of the worked example, line by line and unsorted", () => {
    expect(render(golden.workedExample)).toBe(golden.workedExample.iptablesRestoreInput);
  });

  it("runs every iptables case of the recorded file, and says which cases are left for later", () => {
    const flows = iptablesCases.flatMap(({ expected }) => expected.flows ?? []);
    const later = golden.ipvsCases.map(({ id }) => `${id} (ipvs mode)`);
    console.log(
      `kube-proxy cases: ${iptablesCases.length} iptables dumps run, ${flows.length} iptables flows run, ` +
        `${golden.categorizeEndpoints.rows.length} endpoint-selection rows run; left for later: ${later.join(", ")}`,
    );
    expect(iptablesCases.length + nftablesCases.length).toBe(golden.cases.length);
    expect(iptablesCases).toHaveLength(37);
  });
});
