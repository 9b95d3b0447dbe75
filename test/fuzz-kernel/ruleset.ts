import type { RulePlace } from "./matches.js";
import type { Network } from "./network.js";

export const HOOKS: Readonly<Record<RulePlace["table"], readonly string[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  security: ["INPUT", "FORWARD", "OUTPUT"],
};

/** Namespaces that have rules, or one that gets them: a router if there is one. */
export function ruledSpaces(network: Network): readonly string[] {
  const ruled = network.commands
    .filter(({ run }) => run === "iptables-restore")
    .map(({ ns }) => ns);
  if (ruled.length > 0) return ruled;
  const hosts = network.namespaces.filter((ns) => network.of(ns).length > 0);
  return [network.choose.one(network.routers.length > 0 ? network.routers : hosts)];
}

/** A place in one of the tables that a namespace has, or may get. */
export function placeFor(
  network: Network,
  ns: string,
  tables: readonly RulePlace["table"][],
  hooks: readonly string[] = tables.flatMap((table) => HOOKS[table]),
): RulePlace & { readonly chain: string } {
  const { choose } = network;
  const here = tables.filter((table) => chainsOf(linesOf(network, ns), table).length > 0);
  const table = choose.one(here.length > 0 && choose.chance(0.7) ? here : tables);
  const fitting = HOOKS[table].filter((hook) => hooks.includes(hook));
  const own = chainsOf(linesOf(network, ns), table).filter((one) => !HOOKS[table].includes(one));
  // What is only for some hooks is refused in a chain that others lead to.
  const isAnywhere = fitting.length === HOOKS[table].length;
  const chain = choose.one([...fitting, ...(isAnywhere ? own : [])]);
  return { network, ns, table, chain, hook: HOOKS[table].includes(chain) ? chain : undefined };
}

/** Puts `-A …` somewhere among the rules of a table, which is made when it is not there. */
export function insertRule(network: Network, place: RulePlace, rule: string): void {
  const { ns, table } = place;
  const lines = linesOf(network, ns);
  const whole = lines.includes(`*${table}`) ? lines : [...lines, ...emptyTable(table)];
  const start = whole.indexOf(`*${table}`);
  const end = whole.indexOf("COMMIT", start);
  const first = start + whole.slice(start, end).filter((line) => !line.startsWith("-A")).length;
  const at = network.choose.between(first, end);
  setLines(network, ns, whole.toSpliced(at, 0, rule));
}

/** The words of a rule, those that say nothing left out. */
export function ruleText(chain: string, words: readonly string[]): string {
  return ["-A", chain, ...words].filter((word) => word !== "").join(" ");
}

function emptyTable(table: RulePlace["table"]): readonly string[] {
  return [`*${table}`, ...HOOKS[table].map((hook) => `:${hook} ACCEPT [0:0]`), "COMMIT"];
}

function chainsOf(lines: readonly string[], table: string): readonly string[] {
  const start = lines.indexOf(`*${table}`);
  if (start < 0) return [];
  return lines
    .slice(start, lines.indexOf("COMMIT", start))
    .flatMap((line) => /^:(\S+)/.exec(line)?.[1] ?? []);
}

function linesOf(network: Network, ns: string): readonly string[] {
  return network.commands.find((one) => isRules(one.run) && one.ns === ns)?.rules ?? [];
}

function setLines(network: Network, ns: string, rules: readonly string[]): void {
  const at = network.commands.findIndex((one) => isRules(one.run) && one.ns === ns);
  const command = { ns, run: "iptables-restore", rules };
  if (at < 0) network.commands.push(command);
  else network.commands[at] = command;
}

function isRules(run: string): boolean {
  return run === "iptables-restore";
}
