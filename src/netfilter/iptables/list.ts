import { ruleText } from "./save.js";
import { MATCH_WORDS } from "./list-matches.js";
import { type ListContext, ListedOptions } from "./list-options.js";
import { TARGET_WORDS } from "./list-targets.js";
import type { Rule, RuleSpec } from "./rule.js";
import { type Chain, chainsInOrder, newChain, type Ruleset } from "./ruleset.js";
import { BASE_CHAINS, baseHook, type TableName } from "./tables.js";
import { actionName } from "./rule.js";
import { formatProtocol } from "./protocols.js";
import { formatMasked } from "./addresses.js";
import { refuse } from "./refusal.js";

/** What `-L` and `-S` are asked for. */
export interface ListOptions {
  readonly chain?: string | undefined;
  readonly number?: number | undefined;
  readonly verbose?: boolean;
  readonly numeric?: boolean;
  readonly lineNumbers?: boolean;
  /** One rule alone, as `-v -A` echoes it. */
  readonly rule?: Rule;
}

function chainsToShow(ruleset: Ruleset, name: TableName, options: ListOptions): readonly Chain[] {
  const table = ruleset.tables.get(name) ?? { name, chains: new Map<string, Chain>(), handles: 0 };
  const base = BASE_CHAINS[name].map(
    (hook) => table.chains.get(hook) ?? newChain(hook, "ACCEPT", undefined),
  );
  const users = chainsInOrder(table).filter((chain) => baseHook(name, chain.name) === undefined);
  const all = [...base, ...users];
  if (options.chain === undefined) return all;
  const found = all.filter((chain) => chain.name === options.chain);
  if (found.length === 0) throw refuse("No chain/target/match by that name.", { shape: "line" });
  return found;
}

/** `-S`: policies, new chains, rules. */
export function listRules(ruleset: Ruleset, name: TableName, options: ListOptions): string {
  const { rule: only } = options;
  if (only !== undefined) return echoRule(only);
  const chains = chainsToShow(ruleset, name, options);
  const counters = (packets: number, bytes: number): string =>
    options.verbose === true ? ` -c ${packets} ${bytes}` : "";
  const heads = chains.map((chain) =>
    chain.policy === undefined
      ? `-N ${chain.name}`
      : `-P ${chain.name} ${chain.policy}${counters(chain.packets, chain.bytes)}`,
  );
  const rules = chains.flatMap((chain) =>
    chain.rules
      .filter((_, index) => options.number === undefined || index + 1 === options.number)
      .map((rule) =>
        withCounters(
          ruleText(chain.name, rule, ruleset.variant),
          counters(rule.packets, rule.bytes),
        ),
      ),
  );
  const lines = options.number === undefined ? [...heads, ...rules] : rules;
  return lines.map((line) => `${line}\n`).join("");
}

/** `-v` shows counters between the tests and the jump. */
function withCounters(text: string, counters: string): string {
  if (counters === "") return text;
  const jump = / -[jg] (?=[^"]*(?:"[^"]*"[^"]*)*$)/.exec(text);
  return jump === null
    ? `${text}${counters}`
    : `${text.slice(0, jump.index)}${counters}${text.slice(jump.index)}`;
}

/** Mirrors print_rule of `-v -A`: `ACCEPT  all opt -- in * out *  0.0.0.0/0  -> 0.0.0.0/0  `. */
function echoRule({ spec }: Rule): string {
  const any = "0.0.0.0/0";
  const source = spec.source === undefined ? any : formatMasked(spec.source);
  const destination = spec.destination === undefined ? any : formatMasked(spec.destination);
  const face = (test: typeof spec.in): string =>
    test === undefined ? "*" : `${test.invert ? "!" : ""}${test.name}${test.prefix ? "+" : ""}`;
  const protocol = spec.protocol === undefined ? "all" : formatProtocol(spec.protocol.number);
  const parts = [
    actionName(spec.action) ?? "",
    ` ${protocol} opt -- in ${face(spec.in)} out ${face(spec.out)} `,
    `${source}  -> ${destination} `,
  ];
  const matches = spec.matches.map(({ text }) => ` ${text}`).join("");
  return `${parts.join(" ")} ${matches.trimStart() === "" ? "" : matches}\n`;
}

/** `-L`: one block for each chain. Differs: names are not looked up, so addresses and ports are numbers without `-n` too. */
export function listTable(ruleset: Ruleset, name: TableName, options: ListOptions): string {
  return chainsToShow(ruleset, name, options)
    .map((chain) => listChain(chain, ruleset, name, options))
    .join("\n");
}

function listChain(chain: Chain, ruleset: Ruleset, name: TableName, options: ListOptions): string {
  const { verbose = false, lineNumbers = false } = options;
  const counted = verbose ? ` ${chain.packets} packets, ${chain.bytes} bytes` : "";
  const references = countReferences(ruleset, name, chain.name);
  const about =
    chain.policy === undefined ? `${references} references` : `policy ${chain.policy}${counted}`;
  const number = lineNumbers ? "num  " : "";
  const columns = verbose
    ? " pkts bytes target     prot opt in     out     source               destination         "
    : "target     prot opt source               destination         ";
  const rules = chain.rules
    .map((rule, index) => ({ rule, index }))
    .filter(({ index }) => options.number === undefined || index + 1 === options.number)
    .map(
      ({ rule, index }) =>
        `${lineNumbers ? `${String(index + 1).padEnd(4)} ` : ""}${listRule(rule, ruleset, options)}`,
    );
  const head =
    options.number === undefined ? [`Chain ${chain.name} (${about})`, `${number}${columns}`] : [];
  return [...head, ...rules].map((line) => `${line}\n`).join("");
}

function countReferences(ruleset: Ruleset, name: TableName, chain: string): number {
  let count = 0;
  for (const other of ruleset.tables.get(name)?.chains.values() ?? []) {
    for (const { spec } of other.rules)
      if ("chain" in spec.action && spec.action.chain === chain) count++;
  }
  return count;
}

/** One line, in the columns of the tool. Mirrors iptables/iptables.c:print_firewall() and iptables/nft-shared.c. */
function listRule(
  rule: Rule,
  ruleset: Ruleset,
  { verbose = false, numeric = false }: ListOptions,
): string {
  const { spec } = rule;
  const { family, variant } = ruleset;
  const number = spec.protocol?.number ?? 0;
  const protocol = numeric ? String(number) : number === 0 ? "all" : formatProtocol(number);
  const option = spec.fragment === undefined ? "--" : spec.fragment.invert ? "!f" : "-f";
  const counters = verbose ? `${pad(rule.packets, 5)} ${pad(rule.bytes, 5)} ` : "";
  const columns = [
    `${counters}${targetColumn(spec.action).padEnd(9)} `,
    `${spec.protocol?.invert === true ? "!" : " "}${protocol.padEnd(4)} ${option} `,
    verbose ? ` ${face(spec.in).padEnd(6)} ${face(spec.out).padEnd(6)} ` : "",
    `${addressColumn(spec.source, family, numeric)}${addressColumn(spec.destination, family, numeric)}`,
    spec.action.kind === "goto" ? "[goto] " : "",
  ];
  return `${columns.join("")}${moduleWords(spec, { numeric, variant, family })}`;
}

/** The kernel knows NOTRACK as CT. */
function targetColumn(action: RuleSpec["action"]): string {
  const name = actionName(action) ?? "";
  return name === "NOTRACK" && action.kind === "target" ? "CT" : name;
}

function face(test: RuleSpec["in"]): string {
  return test === undefined
    ? "*"
    : `${test.invert ? "!" : ""}${test.name}${test.prefix ? "+" : ""}`;
}

function addressColumn(
  test: RuleSpec["source"],
  family: Ruleset["family"],
  numeric: boolean,
): string {
  const any = numeric ? (family === "ipv4" ? "0.0.0.0/0" : "::/0") : "anywhere";
  const host = family === "ipv4" ? /\/32$/ : /\/128$/;
  const shown = test === undefined ? any : formatMasked(test).replace(host, "");
  return `${test?.invert === true ? "!" : " "}${shown.padEnd(19)} `;
}

/** What the modules of a rule say, matches first. One that is not known is shown as it is saved. */
function moduleWords({ matches, action }: RuleSpec, context: ListContext): string {
  const words = matches.map(({ extension: { name }, text }) => {
    const known = MATCH_WORDS[name];
    return known === undefined ? ` ${name} ${text}` : known(new ListedOptions(text), context);
  });
  if (action.kind !== "target") return words.join("");
  const { target } = action;
  const known = TARGET_WORDS[target.extension.name];
  const last = known?.(new ListedOptions(target.text), context) ?? ` ${target.text}`;
  return `${words.join("")}${last}`;
}

/** Counters in at most five columns, as the tool shortens them: 12K, 34M. */
function pad(value: number, width: number): string {
  const units = ["", "K", "M", "G", "T"];
  let shown = value;
  let unit = 0;
  while (shown > 99_999 && unit < units.length - 1) {
    shown = Math.round(shown / 1000);
    unit++;
  }
  return `${shown}${units[unit] ?? ""}`.padStart(width);
}
