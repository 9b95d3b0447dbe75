import { describe, expect, it } from "vitest";
import { renderIptables } from "../../../src/kube/proxy/iptables.js";
import { renderProxyJumps } from "../../../src/kube/proxy/jumps.js";
import { renderKubelet } from "../../../src/kube/proxy/kubelet.js";
import { renderNodeIptables } from "../../../src/kube/proxy/node-rules.js";
import { parseRestore } from "../../../src/netfilter/iptables/restore.js";
import type { Ruleset } from "../../../src/netfilter/iptables/ruleset.js";
import { formatSave } from "../../../src/netfilter/iptables/save.js";
import { configOf, golden, iptablesCases, nodeOf, stateOf, type Inputs } from "./cases.js";
import { secondExample, SECOND_EXAMPLE_SAVED } from "./second-example.js";

const render = (inputs: Inputs): string =>
  renderIptables(stateOf(inputs), nodeOf(inputs.config), configOf(inputs.config)).text;

/** The tables of iptables-save in the order of their names. */
function tablesOf(save: string): string {
  const tables = save.trim().split(/^(?=\*)/m);
  return tables
    .map((table) => table.trim())
    .toSorted()
    .join("\n");
}

/** What hopwise's own iptables-save prints after it restored the texts one after the other. */
function savedAfter(texts: readonly string[]): string {
  let base: Ruleset | undefined;
  for (const text of texts)
    base = parseRestore(text, {
      file: "kube-proxy",
      variant: "nft",
      noflush: true,
      counters: true,
      base,
    });
  return base === undefined ? "" : formatSave(base);
}

/** `recent` and `nfacct` are kept as the user wrote them until they are modelled; live.test.ts compares them with the kernel. */
function isModelled(line: string): boolean {
  return !/ -m (recent|nfacct) /.test(line);
}

describe("hopwise's own iptables", () => {
  const { workedExample, kernelTexts } = golden;

  it("prints the worked example's iptables-save after kubelet, the jumps and the rules", () => {
    const texts = [renderKubelet(4).text, renderProxyJumps(4, true).text, render(workedExample)];
    expect(tablesOf(savedAfter(texts))).toBe(
      tablesOf(workedExample.iptablesSave_nat_filter_mangle_withKubelet),
    );
  });

  it("leaves the same rules when kubelet's and kube-proxy's texts are one file", () => {
    const { text, origins } = renderNodeIptables(
      stateOf(workedExample),
      nodeOf(workedExample.config),
      configOf(workedExample.config),
    );
    const lines = text.trimEnd().split("\n");
    expect(tablesOf(savedAfter([text]))).toBe(
      tablesOf(workedExample.iptablesSave_nat_filter_mangle_withKubelet),
    );
    expect(origins).toHaveLength(lines.length);
    expect(origins[lines.indexOf("-I INPUT -j KUBE-FIREWALL")]?.by).toBe("kubelet");
    expect(origins[lines.indexOf("-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000")]?.by).toBe(
      "kube-proxy",
    );
  });

  it("prints the worked example's iptables-save without kubelet", () => {
    const texts = [renderProxyJumps(4, false).text, render(workedExample)];
    expect(tablesOf(savedAfter(texts))).toBe(tablesOf(workedExample.iptablesSave_withoutKubelet));
  });

  it("prints upstream's overall example as the kernel did", () => {
    const overall = iptablesCases.find(({ id }) => id === "ipt-overall");
    if (overall === undefined) throw new Error("no case");
    const config = { ...overall.config, mark: "0x00004000" };
    const modelled = (save: string): string =>
      tablesOf(save.split("\n").filter(isModelled).join("\n"));
    const recorded = kernelTexts.iptablesSaveOverall;
    expect(modelled(savedAfter([render({ ...overall, config })]))).toBe(modelled(recorded));
    expect(recorded.split("\n").filter((line) => !isModelled(line))).toHaveLength(6);
  });

  it("prints the second worked example's lines", () => {
    const lines = savedAfter([secondExample({ nfacctInvalid: true }).text]).split("\n");
    expect(lines).toEqual(expect.arrayContaining(SECOND_EXAMPLE_SAVED.filter(isModelled)));
    expect(SECOND_EXAMPLE_SAVED.filter(isModelled)).toHaveLength(11);
  });
});
