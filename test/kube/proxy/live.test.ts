import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { renderIptables } from "../../../src/kube/proxy/iptables.js";
import { renderProxyJumps } from "../../../src/kube/proxy/jumps.js";
import { renderKubelet } from "../../../src/kube/proxy/kubelet.js";
import { configOf, golden, iptablesCases, nodeOf, stateOf, type Inputs } from "./cases.js";

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

  it("prints the worked example's iptables-save without kubelet", () => {
    const { workedExample } = golden;
    const texts = [renderProxyJumps(4, false).text, render(workedExample)];
    expect(savedAfter(texts)).toBe(tablesOf(workedExample.iptablesSave_withoutKubelet));
  });
});
