import { IPS_ASSURED, IPS_EXPECTED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY } from "../core/conntrack.js";
import {
  type IpAddress,
  type IpPrefix,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6,
  parseIpv6Prefix,
} from "../wire/ip.js";
import { fail } from "./conntrack-failure.js";

/** `A` or `A/LEN`. */
export function readPrefix(value: string): IpPrefix {
  const [host = "", length] = value.split("/", 2);
  const isIpv4 = parseIpv4(host) !== undefined;
  if (!isIpv4 && parseIpv6(host) === undefined) fail(`Invalid IP address \`${host}'`);
  const text = length === undefined ? host : `${host}/${length}`;
  return (isIpv4 ? parseIpv4Prefix(text) : parseIpv6Prefix(text)) ?? fail("Invalid netmask");
}

/** `A`, `A:PORT` or `[A]:PORT`, as `-n` and `-g` take it. */
export function readNatAddress(value: string): {
  readonly address: IpAddress;
  readonly port: number | undefined;
} {
  const [, bracketed, plain, port] =
    /^(?:\[(.*)\]|([^:]*|.*:.*:.*?))(?::([^:\]]*))?$/.exec(value) ?? [];
  const host = bracketed ?? plain ?? value;
  const address = parseIpv4(host) ?? parseIpv6(host) ?? fail(`Invalid IP address \`${host}'`);
  if (port === undefined) return { address, port: undefined };
  const number = /^\d+$/.test(port) ? Number(port) : 0;
  if (number === 0 || number > 0xffff) fail(`Invalid port \`${port}'`);
  return { address, port: number };
}

/** Numbers are read as the tool reads them: digits as far as they go, in 16 bits. */
export function readShort(value: string): number {
  return (Number.parseInt(value, 10) || 0) & 0xffff;
}

/** `VALUE[/MASK]`. */
export function readMark(value: string): { readonly value: number; readonly mask: number } {
  const [mark = "", mask] = value.split("/", 2);
  return {
    value: readNumber(mark),
    mask: mask === undefined ? 0xffff_ffff : readNumber(mask),
  };
}

/** As strtoul() with base 0, 0 for what is no number. */
function readNumber(text: string): number {
  const value = Number.parseInt(text, /^0x/i.test(text) ? 16 : 10);
  return Number.isNaN(value) ? 0 : value >>> 0;
}

/** What `-u` asks for. */
export interface StatusWords {
  /** IPS_* bits; 0 for `UNSET`. */
  readonly bits: number;
  readonly unreplied: boolean;
  /** What the tool says of words that it does not take. */
  readonly warnings: string;
}

const STATUS = [
  ["ASSURED", IPS_ASSURED],
  ["SEEN_REPLY", IPS_SEEN_REPLY],
  ["UNSET", 0],
  ["FIXED_TIMEOUT", IPS_FIXED_TIMEOUT],
  ["EXPECTED", IPS_EXPECTED],
  ["OFFLOAD", 1 << 14],
  ["HW_OFFLOAD", 1 << 15],
] as const;

/** Words may be cut short; the first that fits counts. Mirrors do_parse_parameter(). */
export function readStatus(value: string): StatusWords {
  let bits = 0;
  let unreplied = false;
  let warnings = "";
  for (const word of value.split(",")) {
    const upper = word.toUpperCase();
    const found = STATUS.find(([name]) => upper !== "" && name.startsWith(upper));
    if (upper === "SRC_NAT" || upper === "DST_NAT") {
      const option = upper === "SRC_NAT" ? "--src-nat" : "--dst-nat";
      warnings += `WARNING: ignoring ${upper}, use ${option} instead\n`;
    } else if (found !== undefined) bits |= found[1];
    else if (upper === "UNREPLIED") unreplied = true;
    else fail(`Bad parameter \`${word}'`);
  }
  return { bits, unreplied, warnings };
}

const OUTPUTS = [
  "xml",
  "extended",
  "timestamp",
  "id",
  "ktimestamp",
  "labels",
  "userspace",
  "save",
] as const;

export type OutputWord = (typeof OUTPUTS)[number];

export function readOutput(value: string): readonly OutputWord[] {
  return value.split(",").map((word) => {
    const lower = word.toLowerCase();
    return (
      OUTPUTS.find((name) => lower !== "" && name.startsWith(lower)) ??
      fail(`Bad parameter \`${word}'`)
    );
  });
}

export type EventType = "NEW" | "UPDATE" | "DESTROY";

const EVENTS: readonly (readonly [string, readonly EventType[]])[] = [
  ["ALL", ["NEW", "UPDATE", "DESTROY"]],
  ["NEW", ["NEW"]],
  ["UPDATES", ["UPDATE"]],
  ["DESTROY", ["DESTROY"]],
];

/** `-e NEW,DESTROY`. */
export function readEvents(value: string): ReadonlySet<EventType> {
  const types = value.split(",").flatMap((word) => {
    const upper = word.toUpperCase();
    const found = EVENTS.find(([name]) => upper !== "" && name.startsWith(upper));
    return found?.[1] ?? fail(`Bad parameter \`${word}'`);
  });
  return new Set(types);
}
