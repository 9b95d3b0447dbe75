import { parseNumber } from "./numbers.js";
import { refuse } from "./refusal.js";
import type { Range } from "./values.js";

/** A type, and the codes that count. */
export interface IcmpTypeTest {
  readonly type: number;
  readonly codes: Range;
}

/** A name and what it stands for; codes are all when only the type is named. */
export type IcmpName = readonly [name: string, type: number, code?: number];

/** The names of ICMPv4 types in the order of libxt_icmp.h, which decides what is ambiguous. */
export const ICMP_TYPES: readonly IcmpName[] = [
  ["any", 255],
  ["echo-reply", 0],
  ["pong", 0],
  ["destination-unreachable", 3],
  ["network-unreachable", 3, 0],
  ["host-unreachable", 3, 1],
  ["protocol-unreachable", 3, 2],
  ["port-unreachable", 3, 3],
  ["fragmentation-needed", 3, 4],
  ["source-route-failed", 3, 5],
  ["network-unknown", 3, 6],
  ["host-unknown", 3, 7],
  ["network-prohibited", 3, 9],
  ["host-prohibited", 3, 10],
  ["TOS-network-unreachable", 3, 11],
  ["TOS-host-unreachable", 3, 12],
  ["communication-prohibited", 3, 13],
  ["host-precedence-violation", 3, 14],
  ["precedence-cutoff", 3, 15],
  ["source-quench", 4],
  ["redirect", 5],
  ["network-redirect", 5, 0],
  ["host-redirect", 5, 1],
  ["TOS-network-redirect", 5, 2],
  ["TOS-host-redirect", 5, 3],
  ["echo-request", 8],
  ["ping", 8],
  ["router-advertisement", 9],
  ["router-solicitation", 10],
  ["time-exceeded", 11],
  ["ttl-exceeded", 11],
  ["ttl-zero-during-transit", 11, 0],
  ["ttl-zero-during-reassembly", 11, 1],
  ["parameter-problem", 12],
  ["ip-header-bad", 12, 0],
  ["required-option-missing", 12, 1],
  ["timestamp-request", 13],
  ["timestamp-reply", 14],
  ["address-mask-request", 17],
  ["address-mask-reply", 18],
];

/** The names of ICMPv6 types. */
export const ICMPV6_TYPES: readonly IcmpName[] = [
  ["destination-unreachable", 1],
  ["no-route", 1, 0],
  ["communication-prohibited", 1, 1],
  ["beyond-scope", 1, 2],
  ["address-unreachable", 1, 3],
  ["port-unreachable", 1, 4],
  ["failed-policy", 1, 5],
  ["reject-route", 1, 6],
  ["packet-too-big", 2],
  ["time-exceeded", 3],
  ["ttl-exceeded", 3],
  ["ttl-zero-during-transit", 3, 0],
  ["ttl-zero-during-reassembly", 3, 1],
  ["parameter-problem", 4],
  ["bad-header", 4, 0],
  ["unknown-header-type", 4, 1],
  ["unknown-option", 4, 2],
  ["echo-request", 128],
  ["ping", 128],
  ["echo-reply", 129],
  ["pong", 129],
  ["mld-listener-query", 130],
  ["mld-listener-report", 131],
  ["mld-listener-done", 132],
  ["mld-listener-reduction", 132],
  ["router-solicitation", 133],
  ["router-advertisement", 134],
  ["neighbour-solicitation", 135],
  ["neighbor-solicitation", 135],
  ["neighbour-advertisement", 136],
  ["neighbor-advertisement", 136],
  ["redirect", 137],
];

/** A type by number, `type/code`, or the unambiguous beginning of a name. `kind` is how errors call it. */
export function parseIcmpType(
  text: string,
  names: readonly IcmpName[],
  kind: "ICMP" | "ICMPv6",
): IcmpTypeTest {
  const wanted = text.toLowerCase();
  const found = names.filter(([name]) => name.toLowerCase().startsWith(wanted));
  const exact = found.find(([name]) => name.toLowerCase() === wanted) ?? found[0];
  if (exact !== undefined && text !== "") {
    const other = found.find((candidate) => candidate !== exact);
    if (other !== undefined && exact[0].toLowerCase() !== wanted) {
      throw refuse(`Ambiguous ${kind} type \`${text}': \`${exact[0]}' or \`${other[0]}'?`);
    }
    const [, type, code] = exact;
    return { type, codes: code === undefined ? { low: 0, high: 255 } : { low: code, high: code } };
  }
  const slash = text.indexOf("/");
  const typeText = slash < 0 ? text : text.slice(0, slash);
  const type = parseNumber(typeText, 0, 255);
  if (type === undefined)
    throw refuse(`Unknown ${kind} type \`${typeText === "" ? text : typeText}'`);
  if (slash < 0) return { type, codes: { low: 0, high: 255 } };
  const code = parseNumber(text.slice(slash + 1), 0, 255);
  if (code === undefined) throw refuse(`Unknown ${kind} code \`${text}'`);
  return { type, codes: { low: code, high: code } };
}

export function formatIcmpType({ type, codes }: IcmpTypeTest): string {
  return codes.low === codes.high ? `${type}/${codes.low}` : String(type);
}
