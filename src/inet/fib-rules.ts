import type { NetDevice } from "../core/device.js";
import { type Ipv4Prefix, formatIpv4, formatIpv4Prefix, prefixContains } from "../wire/ip.js";
import { protocolName, tableName } from "./fib-names.js";
import {
  type FlowKey,
  LEGACY_TOS_MASK,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
} from "./fib-types.js";

export type RuleAction = "lookup" | "goto" | "nop" | "blackhole" | "unreachable" | "prohibit";

/** A rule of the policy database. Mirrors struct fib4_rule. */
export interface FibRule {
  /** 0..2^32-1; the lowest is asked first. */
  readonly priority: number;
  readonly action: RuleAction;
  readonly table?: number | undefined;
  /** The priority that `goto` goes on with. */
  readonly target?: number | undefined;
  readonly not?: boolean | undefined;
  readonly from?: Ipv4Prefix | undefined;
  readonly to?: Ipv4Prefix | undefined;
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

/** Mirrors net/core/fib_rules.c:fib_rule_match() and net/ipv4/fib_rules.c:fib4_rule_match(). */
export function ruleMatches(rule: FibRule, key: FlowKey): boolean {
  return matchesAll(rule, key) !== (rule.not === true);
}

function matchesAll(rule: FibRule, key: FlowKey): boolean {
  if (rule.iif !== undefined && rule.iif !== key.iif) return false;
  if (rule.oif !== undefined && rule.oif !== deviceName(key.oif)) return false;
  if (rule.mark !== undefined && ((key.mark ^ rule.mark) & (rule.markMask ?? 0xffff_ffff)) !== 0)
    return false;
  if (rule.uids !== undefined && !within(key.uid, rule.uids)) return false;
  if (rule.from !== undefined && !prefixContains(rule.from, key.source)) return false;
  if (rule.to !== undefined && !prefixContains(rule.to, key.destination)) return false;
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
export function formatRule(rule: FibRule): string {
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

function formatAction(rule: FibRule): string {
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

function formatRulePrefix(prefix: Ipv4Prefix): string {
  return prefix.length === 32 ? formatIpv4(prefix.address) : formatIpv4Prefix(prefix);
}
