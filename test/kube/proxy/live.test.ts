import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { renderIptables } from "../../../src/kube/proxy/iptables.js";
import { renderProxyJumps } from "../../../src/kube/proxy/jumps.js";
import { renderKubelet } from "../../../src/kube/proxy/kubelet.js";
import {
  configOf,
  golden,
  iptablesCases,
  nftablesCases,
  nodeOf,
  stateOf,
  type Inputs,
} from "./cases.js";
import type { ProxyConfig } from "../../../src/kube/proxy/config.js";
import { renderNftables } from "../../../src/kube/proxy/nftables.js";
import { secondExample, SECOND_EXAMPLE_SAVED } from "./second-example.js";

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a script in a network namespace that ends with it. */
function inNamespace(script: string, input = ""): Ran {
  const { status, stdout, stderr } = spawnSync("unshare", ["-n", "sh", "-ec", script], {
    input,
    encoding: "utf8",
  });
  return { code: status, out: stdout ?? "", err: stderr ?? "" };
}

const judge = inNamespace(
  "iptables-restore --version && ip6tables-restore --version && iptables -L -n",
);
const noJudge = judge.code !== 0;
if (noJudge)
  console.log(
    `skipped: no iptables in a network namespace here (${judge.err.trim() || "unshare failed"})`,
  );

const render = (inputs: Inputs): string =>
  renderIptables(stateOf(inputs), nodeOf(inputs.config), configOf(inputs.config)).text;

const nft = inNamespace("nft --version && nft list ruleset");
const noNft = nft.code !== 0;
if (noNft)
  console.log(
    `skipped: no nft in a network namespace here (${nft.err.trim() || "unshare failed"})`,
  );

const renderNft = (inputs: Inputs, more: Partial<ProxyConfig>): string =>
  renderNftables(stateOf(inputs), nodeOf(inputs.config), { ...configOf(inputs.config), ...more })
    .text;

/** The tables of iptables-save in the order of their names, without its comment lines. */
function tablesOf(save: string): string {
  const lines = save.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const tables = lines.join("\n").split(/^(?=\*)/m);
  return tables
    .map((table) => table.trim())
    .toSorted()
    .join("\n");
}

/** What iptables-save prints after the texts were loaded one after the other. */
function savedAfter(texts: readonly string[]): string {
  const loads = texts.map((text) => `iptables-restore --noflush --counters <<'END'\n${text}END\n`);
  const { code, out, err } = inNamespace(`${loads.join("")}iptables-save`);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return tablesOf(out);
}

describe.skipIf(noJudge)("the real iptables-restore", () => {
  const programOf = ({ config }: Inputs): string =>
    config.family === 6 ? "ip6tables-restore" : "iptables-restore";

  it.each(iptablesCases.map((one) => [one.id, one] as const))(
    "takes the text of %s with --test",
    (_id, one) => {
      const { code, err } = inNamespace(
        `${programOf(one)} --noflush --counters --test`,
        render(one),
      );
      expect({ code, err }).toEqual({ code: 0, err: "" });
    },
  );

  // The nfacct objects would have to exist in the kernel; kube-proxy writes the text without them where they cannot.
  it.each(iptablesCases.map((one) => [one.id, one] as const))(
    "loads the text of %s into the kernel",
    (_id, one) => {
      const plain = {
        ...one,
        config: { ...one.config, nfacctInvalid: false, nfacctLocalhost: false },
      };
      const { code, err } = inNamespace(`${programOf(one)} --noflush --counters`, render(plain));
      expect({ code, err }).toEqual({ code: 0, err: "" });
    },
  );

  it("prints the worked example's iptables-save after kubelet, the jumps and the rules", () => {
    const { workedExample } = golden;
    const texts = [renderKubelet(4).text, renderProxyJumps(4, true).text, render(workedExample)];
    expect(savedAfter(texts)).toBe(
      tablesOf(workedExample.iptablesSave_nat_filter_mangle_withKubelet),
    );
  });

  it("prints the second worked example's lines, but for the counter", () => {
    const recorded = SECOND_EXAMPLE_SAVED.filter((line) => !line.includes(" -m nfacct "));
    expect(savedAfter([secondExample({}).text]).split("\n")).toEqual(
      expect.arrayContaining(recorded),
    );
    expect(recorded).toHaveLength(15);
  });

  it("prints upstream's overall example without its counters as recorded", () => {
    const overall = iptablesCases.find(({ id }) => id === "ipt-overall");
    if (overall === undefined) throw new Error("no case");
    const config = {
      ...overall.config,
      mark: "0x00004000",
      nfacctInvalid: false,
      nfacctLocalhost: false,
    };
    const recorded = golden.kernelTexts.iptablesSaveOverall
      .split("\n")
      .filter((line) => !line.includes("localhost_nps_accepted_pkts"))
      .map((line) => line.replace(" -m nfacct --nfacct-name  ct_state_invalid_dropped_pkts", ""));
    expect(savedAfter([render({ ...overall, config })])).toBe(tablesOf(recorded.join("\n")));
  });

  it.each([true, false])(
    "takes kubelet's and kube-proxy's first texts for IPv6, kubelet first: %s",
    (kubeletFirst) => {
      const texts = [
        ...(kubeletFirst ? [renderKubelet(6).text] : []),
        renderProxyJumps(6, kubeletFirst).text,
      ];
      const loads = texts.map((text) => `ip6tables-restore --noflush <<'END'\n${text}END\n`);
      const { code, out } = inNamespace(`${loads.join("")}ip6tables-save -t filter`);
      expect(code).toBe(0);
      expect(
        out
          .split("\n")
          .filter((line) => line.startsWith("-A OUTPUT"))
          .at(0),
      ).toBe("-A OUTPUT -j KUBE-FIREWALL");
      expect(out.split("\n").filter((line) => line.startsWith("-A KUBE-FIREWALL"))).toEqual([]);
    },
  );

  it("prints the worked example's iptables-save without kubelet", () => {
    const { workedExample } = golden;
    const texts = [renderProxyJumps(4, false).text, render(workedExample)];
    expect(savedAfter(texts)).toBe(tablesOf(workedExample.iptablesSave_withoutKubelet));
  });
});

describe.skipIf(noNft)("the real nft", () => {
  const listed = (inputs: Inputs, more: Partial<ProxyConfig>): string => {
    const { code, out, err } = inNamespace(
      "nft -f - && nft list table ip kube-proxy",
      renderNft(inputs, more),
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    return out;
  };

  it.each(nftablesCases.map((one) => [one.id, one] as const))(
    "loads the script of %s",
    (_id, one) => {
      const { code, err } = inNamespace(
        "nft -f -",
        renderNft(one, { nftLayout: one.layout ?? "L3" }),
      );
      expect({ code, err }).toEqual({ code: 0, err: "" });
    },
  );

  it.each(["L1", "L2", "L4"] as const)("loads layout %s of the first case", (nftLayout) => {
    const one = nftablesCases[0];
    if (one === undefined) throw new Error("no case");
    expect(listed(one, { nftLayout })).toContain("table ip kube-proxy {");
  });

  it("lists the worked example in layouts L3 and L5 as recorded", () => {
    const { workedExample } = golden;
    expect(listed(workedExample, { nftLayout: "L3" }).trim()).toBe(workedExample.nftListL3.trim());
    expect(listed(workedExample, { nftLayout: "L5" }).trim()).toBe(workedExample.nftListL5.trim());
  });

  it("lists upstream's overall example as recorded, with the real mark", () => {
    const { kernelTexts } = golden;
    const overall = (layout: "L3" | "L5", more: Partial<ProxyConfig> = {}): string => {
      const one = nftablesCases.find(({ id }) => id === `nft-overall-${layout}`);
      if (one === undefined) throw new Error("no case");
      return listed(one, { masqueradeMark: "0x00004000", nftLayout: layout, ...more }).trim();
    };
    expect(overall("L3")).toBe(kernelTexts.nftListOverallL3.trim());
    expect(overall("L5")).toBe(kernelTexts.nftListOverallL5.trim());
    expect(overall("L3", { nodePortAddresses: ["0.0.0.0/0"] })).toBe(
      kernelTexts.nftListOverallL3MatchAllNodePorts.trim(),
    );
  });
});
