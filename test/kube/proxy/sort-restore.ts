/** Puts restore text in the order of the recorded dumps: `about.iptablesSort` of test/golden/kube-proxy.json. */
export function sortRestore(text: string): string {
  const tables = text
    .split(/^(?=\*)/m)
    .map((table) => table.trim().split("\n"))
    .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1));
  return `${tables.map((lines) => sortTable(lines).join("\n")).join("\n")}\n`;
}

function sortTable(lines: readonly string[]): string[] {
  const chains = lines
    .filter((line) => line.startsWith(":"))
    .toSorted((a, b) => compare(rank(a), rank(b)));
  const rules = lines.filter((line) => line.startsWith("-"));
  const sorted = chains.flatMap((chain) => {
    const name = chain.slice(1).split(" ")[0] ?? "";
    const own = rules.filter((rule) => rule.startsWith(`-A ${name} `));
    if (name !== "KUBE-SERVICES" && name !== "KUBE-NODEPORTS") return own;
    return own.toSorted((a, b) => compare(serviceOf(a), serviceOf(b)));
  });
  if (sorted.length !== rules.length)
    throw new Error("a rule stands in a chain that is not declared");
  return [lines[0] ?? "", ...chains, ...sorted, "COMMIT"];
}

function rank(chain: string): string {
  const first = [":KUBE-NODEPORTS ", ":KUBE-SERVICES "].findIndex((name) => chain.startsWith(name));
  if (first >= 0) return `0${first}`;
  return chain.startsWith(":KUBE-") ? `1${chain}` : `2${chain}`;
}

function serviceOf(rule: string): string {
  if (rule.includes("must be the last rule")) return "\uffff";
  return /--comment "?([^ :"]*)/.exec(rule)?.[1] ?? "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
