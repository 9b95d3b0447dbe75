import type { NetworkNamespace } from "../core/namespace.js";
import { fib } from "../inet/fib.js";
import { parseProtocol, parseTable } from "../inet/fib-names.js";
import {
  type AskedRule as NewRule,
  type FibRule,
  formatRule,
  type RuleAction,
} from "../inet/fib-rules.js";
import { RT_TABLE_MAIN } from "../inet/fib-types.js";
import { fib6 } from "../inet/ipv6/fib.js";
import type { IpAddress, IpPrefix, Ipv4, Ipv6 } from "../wire/ip.js";
import { notModelled, rtnetlink } from "./failure.js";
import { type IpContext, isAboutIpv6, namespaceOf, readPrefix, readPrefix6 } from "./ip-context.js";
import { abbreviates, chooseCommand, parseNumber, type Words, wrongArgument } from "./words.js";

type Command = (words: Words, context: IpContext) => string;
type AskedRule<A extends IpAddress> = { -readonly [Key in keyof FibRule<A>]?: FibRule<A>[Key] };

/** Rules of either family are read alike; their prefixes and where they go differ. */
interface RuleFamily<A extends IpAddress> {
  readPrefix(word: string): IpPrefix<A>;
  rules(ns: NetworkNamespace): {
    readonly rules: readonly FibRule<A>[];
    addRule(rule: NewRule<A>): string | undefined;
    removeRule(rule: Partial<FibRule<A>>): string | undefined;
  };
}

const rules4: RuleFamily<Ipv4> = { readPrefix, rules: fib };
const rules6: RuleFamily<Ipv6> = { readPrefix: readPrefix6, rules: fib6 };

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["list", show],
  ["lst", show],
  ["show", show],
  ["add", add],
  ["delete", remove],
];

/** `ip rule`. */
export function ipRule(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "ip rule help")(words, context);
}

function show(words: Words, context: IpContext): string {
  if (!words.isEmpty) throw notModelled("ip", "a selection of rules");
  return context.inet6Only ? shown(rules6, context) : shown(rules4, context);
}

function shown<A extends IpAddress>(family: RuleFamily<A>, context: IpContext): string {
  return family
    .rules(namespaceOf(context))
    .rules.map((rule) => `${formatRule(rule)}\n`)
    .join("");
}

function add(words: Words, context: IpContext): string {
  return isAboutIpv6(words, context)
    ? addTo(rules6, words, context)
    : addTo(rules4, words, context);
}

function addTo<A extends IpAddress>(
  family: RuleFamily<A>,
  words: Words,
  context: IpContext,
): string {
  const asked = readRule(words, family);
  const action = asked.action ?? "lookup";
  const table = action === "lookup" ? (asked.table ?? RT_TABLE_MAIN) : undefined;
  const refusal = family.rules(namespaceOf(context)).addRule({ ...asked, action, table });
  if (refusal !== undefined) throw rtnetlink(refusal);
  return "";
}

function remove(words: Words, context: IpContext): string {
  return isAboutIpv6(words, context)
    ? removeFrom(rules6, words, context)
    : removeFrom(rules4, words, context);
}

function removeFrom<A extends IpAddress>(
  family: RuleFamily<A>,
  words: Words,
  context: IpContext,
): string {
  const refusal = family.rules(namespaceOf(context)).removeRule(readRule(words, family));
  if (refusal !== undefined) throw rtnetlink(refusal);
  return "";
}

/** Mirrors iproute2's iprule_modify(). */
function readRule<A extends IpAddress>(words: Words, family: RuleFamily<A>): AskedRule<A> {
  const rule: AskedRule<A> = {};
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "not") rule.not = true;
    else if (word === "from") setPrefix(rule, "from", words, family);
    else if (word === "to") setPrefix(rule, "to", words, family);
    else if (word === "fwmark") readMark(rule, words);
    else if (word === "iif" || word === "dev") rule.iif = words.value();
    else if (word === "oif") rule.oif = words.value();
    else if (word === "tos" || word === "dsfield")
      rule.tos = number(words, "TOS value is invalid\n", 255);
    else if (word === "ipproto")
      rule.protocol = named(words, parseProtocol, 'Invalid "ipproto" value\n');
    else if (word === "sport") rule.sourcePorts = range(words, "invalid port");
    else if (word === "dport") rule.destinationPorts = range(words, "invalid port");
    else if (word === "uidrange") rule.uids = range(words, "invalid UID range");
    else if (word === "suppress_prefixlength" || word === "sup_pl")
      rule.suppressPrefixLength = number(words, "suppress_prefixlength value is invalid\n", 32);
    else if (["preference", "order", "priority", "pref"].some((name) => abbreviates(word, name))) {
      rule.priority = number(words, "preference value is invalid\n", 0xffff_ffff);
    } else if (abbreviates(word, "table") || word === "lookup") {
      rule.table = named(words, parseTable, "invalid table ID\n");
      rule.action = "lookup";
    } else readAction(rule, word, words);
  }
  return rule;
}

function readAction<A extends IpAddress>(rule: AskedRule<A>, word: string, words: Words): void {
  const name = word === "type" ? words.value() : word;
  if (name === "goto") rule.target = number(words, "invalid target\n", 0xffff_ffff);
  const action = ACTIONS.find((known) => known === name);
  if (action !== undefined) rule.action = action;
  else if (["nat", "realms", "suppress_ifgroup", "l3mdev", "tun_id", "protocol"].includes(name))
    throw notModelled("ip", `ip rule … ${name}`);
  else throw wrongArgument(name, "Failed to parse rule type");
}

const ACTIONS: readonly RuleAction[] = ["goto", "nop", "blackhole", "unreachable", "prohibit"];

function setPrefix<A extends IpAddress>(
  rule: AskedRule<A>,
  side: "from" | "to",
  words: Words,
  family: RuleFamily<A>,
): void {
  const word = words.value();
  const prefix: IpPrefix<A> | undefined = word === "all" ? undefined : family.readPrefix(word);
  if (prefix !== undefined) rule[side] = prefix;
}

function readMark<A extends IpAddress>(rule: AskedRule<A>, words: Words): void {
  const word = words.value();
  const [value, mask] = word.split("/");
  const mark = parseNumber(value ?? "");
  const parsedMask = mask === undefined ? undefined : parseNumber(mask);
  if (mark === undefined || (mask !== undefined && parsedMask === undefined))
    throw wrongArgument(word, "fwmark value is invalid\n");
  rule.mark = mark;
  if (parsedMask !== undefined && parsedMask !== 0xffff_ffff) rule.markMask = parsedMask;
}

function number(words: Words, why: string, high: number): number {
  const word = words.value();
  const value = parseNumber(word);
  if (value === undefined || value > high) throw wrongArgument(word, why);
  return value;
}

function named(words: Words, parse: (word: string) => number | undefined, why: string): number {
  const word = words.value();
  const value = parse(word);
  if (value === undefined) throw wrongArgument(word, why);
  return value;
}

/** `80` or `80-90`. */
function range(words: Words, why: string): readonly [number, number] {
  const word = words.value();
  const [low, high = low, more] = word.split("-").map(parseNumber);
  if (low === undefined || high === undefined || more !== undefined) throw wrongArgument(word, why);
  return [low, high];
}
