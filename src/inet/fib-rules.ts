import type { NetDevice } from "../core/device.js";
import type { Errno } from "../core/errno.js";
import {
  formatIp,
  type IpAddress,
  type IpPrefix,
  type Ipv4,
  ipPrefixContains,
} from "../wire/ip.js";
import { protocolName, tableName } from "./fib-names.js";
import { LEGACY_TOS_MASK, RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN } from "./fib-types.js";

export type RuleAction = "lookup" | "goto" | "nop" | "blackhole" | "unreachable" | "prohibit";

/** A rule of the policy database. Mirrors struct fib4_rule and struct fib6_rule. */
export interface FibRule<A extends IpAddress = Ipv4> {
  /** 0..2^32-1; the lowest is asked first. */
  readonly priority: number;
  readonly action: RuleAction;
  readonly table?: number | undefined;
  /** The priority that `goto` goes on with. */
  readonly target?: number | undefined;
  readonly not?: boolean | undefined;
  readonly from?: IpPrefix<A> | undefined;
  readonly to?: IpPrefix<A> | undefined;
  readonly tos?: number | undefined;
  readonly iif?: string | undefined;
  readonly oif?: string | undefined;
  readonly mark?: number | undefined;
  /** 0xffffffff unless given. */
  readonly markMask?: number | undefined;
  readonly protocol?: number | undefined;
  readonly sourcePorts?: readonly [number, number] | undefined;
  readonly destinationPorts?: readonly [number, number] | undefined;
  readonly uids?: readonly [number, number] | undefined;
  /** Results with a prefix no longer than this are ignored. */
  readonly suppressPrefixLength?: number | undefined;
}

/** The rules of a fresh namespace. */
export const DEFAULT_RULES: readonly FibRule[] = [
  { priority: 0, action: "lookup", table: RT_TABLE_LOCAL },
  { priority: 32_766, action: "lookup", table: RT_TABLE_MAIN },
  { priority: 32_767, action: "lookup", table: RT_TABLE_DEFAULT },
];

/** What a rule looks at. */
export interface RuleKey<A extends IpAddress> {
  readonly source: A;
  readonly destination: A;
  readonly tos: number;
  readonly mark: number;
  readonly iif: string;
  readonly oif: NetDevice | undefined;
  readonly uid: number;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Mirrors net/core/fib_rules.c:fib_rule_match() with fib4_rule_match() or fib6_rule_match(). */
export function ruleMatches<A extends IpAddress>(rule: FibRule<A>, key: RuleKey<A>): boolean {
  return matchesAll(rule, key) !== (rule.not === true);
}

function matchesAll<A extends IpAddress>(rule: FibRule<A>, key: RuleKey<A>): boolean {
  if (rule.iif !== undefined && rule.iif !== key.iif) return false;
  if (rule.oif !== undefined && rule.oif !== deviceName(key.oif)) return false;
  if (rule.mark !== undefined && ((key.mark ^ rule.mark) & (rule.markMask ?? 0xffff_ffff)) !== 0)
    return false;
  if (rule.uids !== undefined && !within(key.uid, rule.uids)) return false;
  if (rule.from !== undefined && !ipPrefixContains(rule.from, key.source)) return false;
  if (rule.to !== undefined && !ipPrefixContains(rule.to, key.destination)) return false;
  if (rule.tos !== undefined && rule.tos !== 0 && rule.tos !== (key.tos & LEGACY_TOS_MASK))
    return false;
  if (rule.protocol !== undefined && rule.protocol !== key.protocol) return false;
  if (rule.sourcePorts !== undefined && !within(key.sourcePort, rule.sourcePorts)) return false;
  return rule.destinationPorts === undefined || within(key.destinationPort, rule.destinationPorts);
}

function deviceName(dev: NetDevice | undefined): string | undefined {
  return dev?.name;
}

function within(value: number, [low, high]: readonly [number, number]): boolean {
  return low <= value && value <= high;
}

/** As `ip rule` prints it (iproute2 6.1), without the newline: `32766:\tfrom all lookup main`. */
export function formatRule<A extends IpAddress>(rule: FibRule<A>): string {
  const words = [
    `${rule.priority}:\t${rule.not === true ? "not " : ""}from ${rule.from === undefined ? "all" : formatRulePrefix(rule.from)}`,
  ];
  if (rule.to !== undefined) words.push(`to ${formatRulePrefix(rule.to)}`);
  if (rule.tos !== undefined && rule.tos !== 0)
    words.push(`tos 0x${rule.tos.toString(16).padStart(2, "0")}`);
  if (rule.mark !== undefined) words.push(`fwmark ${formatMark(rule.mark, rule.markMask)}`);
  if (rule.iif !== undefined) words.push(`iif ${rule.iif}`);
  if (rule.oif !== undefined) words.push(`oif ${rule.oif}`);
  if (rule.uids !== undefined) words.push(`uidrange ${rule.uids[0]}-${rule.uids[1]}`);
  if (rule.protocol !== undefined) words.push(`ipproto ${protocolName(rule.protocol)}`);
  if (rule.sourcePorts !== undefined) words.push(`sport ${formatRange(rule.sourcePorts)}`);
  if (rule.destinationPorts !== undefined)
    words.push(`dport ${formatRange(rule.destinationPorts)}`);
  words.push(formatAction(rule));
  return words.join(" ");
}

function formatAction<A extends IpAddress>(rule: FibRule<A>): string {
  if (rule.action === "goto") return `goto ${rule.target ?? 0}`;
  if (rule.action !== "lookup") return rule.action;
  const suppress =
    rule.suppressPrefixLength === undefined
      ? ""
      : ` suppress_prefixlength ${rule.suppressPrefixLength}`;
  return `lookup ${tableName(rule.table ?? RT_TABLE_MAIN)}${suppress}`;
}

function formatMark(mark: number, mask: number | undefined): string {
  const hex = `0x${mark.toString(16)}`;
  return mask === undefined || mask === 0xffff_ffff ? hex : `${hex}/0x${mask.toString(16)}`;
}

function formatRange([low, high]: readonly [number, number]): string {
  return low === high ? String(low) : `${low}-${high}`;
}

function formatRulePrefix<A extends IpAddress>({ address, length }: IpPrefix<A>): string {
  const whole = typeof address === "number" ? 32 : 128;
  return length === whole ? formatIp(address) : `${formatIp(address)}/${length}`;
}

/** A rule as it is asked for. */
export type AskedRule<A extends IpAddress> = Omit<FibRule<A>, "priority"> & {
  readonly priority?: number | undefined;
};

/** The rules with one more; without a priority it goes before the second one. A refusal is text. Mirrors net/core/fib_rules.c:fib_nl_newrule(). */
export function withRule<A extends IpAddress>(
  rules: readonly FibRule<A>[],
  asked: AskedRule<A>,
): readonly FibRule<A>[] | string {
  const rule: FibRule<A> = { ...asked, priority: asked.priority ?? defaultPriority(rules) };
  if (rule.action === "goto" && (rule.target ?? 0) <= rule.priority)
    return "Error: Backward goto not supported.";
  if (rules.some((other) => isAsked(other, rule))) return "RTNETLINK answers: File exists";
  const at = rules.findIndex((other) => other.priority > rule.priority);
  return at < 0 ? [...rules, rule] : rules.toSpliced(at, 0, rule);
}

/**
 * Whether a new rule counts as one that is there. A prefix or TOS that the new one does not name may be any, and `not` and the
 * target of `goto` are not looked at. Mirrors net/core/fib_rules.c:rule_exists() with fib4_rule_compare() or fib6_rule_compare().
 */
function isAsked<A extends IpAddress>(there: FibRule<A>, asked: FibRule<A>): boolean {
  const same = ALWAYS_COMPARED.every((name) => sameField(there[name], asked[name]));
  const { from, to, tos = 0 } = asked;
  return (
    same &&
    (there.markMask ?? 0xffffffff) === (asked.markMask ?? 0xffffffff) &&
    (from === undefined || from.length === 0 || sameField(there.from, from)) &&
    (to === undefined || to.length === 0 || sameField(there.to, to)) &&
    (tos === 0 || there.tos === tos)
  );
}

const ALWAYS_COMPARED = [
  "action",
  "table",
  "priority",
  "iif",
  "oif",
  "mark",
  "suppressPrefixLength",
  "uids",
  "protocol",
  "sourcePorts",
  "destinationPorts",
] as const;

/** Mirrors fib_default_rule_pref(). */
function defaultPriority<A extends IpAddress>(rules: readonly FibRule<A>[]): number {
  const second = rules[1]?.priority ?? 0;
  return second === 0 ? 0 : second - 1;
}

/** The rules without the first that has all the fields asked for. A refusal is text. */
export function withoutRule<A extends IpAddress>(
  rules: readonly FibRule<A>[],
  asked: Partial<FibRule<A>>,
): readonly FibRule<A>[] | string {
  const fields = Object.entries(asked).filter(([, value]) => value !== undefined);
  const index = rules.findIndex((rule) =>
    fields.every(([name, value]) => sameField(rule[name as keyof FibRule<A>], value)),
  );
  return index < 0 ? "RTNETLINK answers: No such file or directory" : rules.toSpliced(index, 1);
}

function sameField(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string | undefined =>
    JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));
  return text(a) === text(b);
}

/** Whether some rule looks at more than addresses, TOS, mark and devices: decisions cannot be shared between flows then. */
export function looksAtPorts<A extends IpAddress>(rules: readonly FibRule<A>[]): boolean {
  return rules.some(
    (rule) =>
      (rule.protocol ?? rule.sourcePorts ?? rule.destinationPorts ?? rule.uids) !== undefined,
  );
}

/** A rule of type `unreachable` says ENETUNREACH where a route of that type says EHOSTUNREACH. Mirrors fib4_rule_action() and fib6_rule_action(). */
export const RULE_ERRORS: Readonly<Partial<Record<RuleAction, Errno>>> = {
  unreachable: "ENETUNREACH",
  prohibit: "EACCES",
  blackhole: "EINVAL",
};
