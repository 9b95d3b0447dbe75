import { type IpAddress, ipv4, type Mac } from "../../wire/ip.js";
import {
  addressBits,
  formatAddress,
  type MaskedAddress,
  maskOf,
  parseAddress,
  parseHost,
  parseMask,
  andAddress,
} from "./addresses.js";
import { parseBig, parseNumber } from "./numbers.js";
import type { OptionUse } from "./options.js";
import { parseProtocol } from "./protocols.js";
import { refuse } from "./refusal.js";
import { servicePort } from "./services.js";

/** Readers of option values in the words of libxtables/xtoptions.c, one per XTTYPE_*. */
type Read<T> = (text: string, use: OptionUse) => T;

/** Two bounds, both included; `high < low` never matches. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** XTTYPE_UINT8 to XTTYPE_UINT32. */
export function unsigned(low: number, high: number): Read<number> {
  return (text, { owner, option }) => {
    const value = parseNumber(text, low, high);
    if (value === undefined)
      throw refuse(
        `${owner}: bad value for option "--${option}", or out of range (${low}-${high}).\n`,
      );
    return value;
  };
}

export const u8: Read<number> = unsigned(0, 255);
export const u16: Read<number> = unsigned(0, 65_535);
export const u32: Read<number> = unsigned(0, 0xffff_ffff);

/** XTTYPE_UINT64. */
export function u64(text: string, { owner, option }: OptionUse): bigint {
  const value = parseBig(text);
  if (value === undefined || value > 0xffff_ffff_ffff_ffffn) {
    throw refuse(
      `${owner}: bad value for option "--${option}", or out of range (0-18446744073709551615).\n`,
    );
  }
  return value;
}

/** XTTYPE_UINT8RC to XTTYPE_UINT32RC: `N`, `N:N`, `N:`, `:N`. */
export function unsignedRange(max: number): Read<Range & { readonly single: boolean }> {
  return (text, { owner, option }) => {
    const parts = text.split(":");
    if (parts.length > 2)
      throw refuse(`${owner}: Too many components for option "--${option}" (max: 2)\n`);
    const bound = (part: string, otherwise: number): number => {
      if (part === "" && parts.length === 2) return otherwise;
      const value = parseNumber(part, 0, max);
      if (value === undefined)
        throw refuse(
          `${owner}: bad value for option "--${option}" near "${part}", or out of range (0-${max}).\n`,
        );
      return value;
    };
    const low = bound(parts[0] ?? "", 0);
    return {
      low,
      high: parts.length === 1 ? low : bound(parts[1] ?? "", max),
      single: parts.length === 1,
    };
  };
}

export function formatRange({ low, high }: Range): string {
  return low === high ? String(low) : `${low}:${high}`;
}

export function inRange(value: number, { low, high }: Range): boolean {
  return value >= low && value <= high;
}

/** XTTYPE_MARKMASK32: `V[/M]`. */
export function markMask(
  text: string,
  { owner, option }: OptionUse,
): { readonly value: number; readonly mask: number } {
  const [first = "", second, ...more] = text.split("/");
  const value = parseNumber(first, 0, 0xffff_ffff);
  const mask = second === undefined ? 0xffff_ffff : parseNumber(second, 0, 0xffff_ffff);
  if (value === undefined || mask === undefined || more.length > 0) {
    throw refuse(`${owner}: bad integer value for option "--${option}", or out of range.\n`);
  }
  return { value, mask };
}

/** XTTYPE_STRING with bounds; too long a text is cut as strncpy does. */
export function string(min: number, max: number): Read<string> {
  return (text) => {
    if (text.length < min)
      throw refuse(`Argument must have a minimum length of ${min} characters\n`);
    if (byteLength(text) > max) {
      throw refuse(`Argument exceeds maximum length of ${max} characters\n`);
    }
    return text;
  };
}

/** The longest beginning of a text that fits in `max` bytes of UTF-8. */
export function cutBytes(text: string, max: number): string {
  // A character takes at most three bytes for each of its units.
  if (text.length * 3 <= max || byteLength(text) <= max) return text;
  let bytes = 0;
  let kept = "";
  for (const char of text) {
    bytes += byteLength(char);
    if (bytes > max) break;
    kept += char;
  }
  return kept;
}

/** The length of a text in UTF-8. */
export function byteLength(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}

/** A port number or service name as xtables_parse_port() reads it. */
export function parsePort(text: string, use: OptionUse): number {
  const port = parseNumber(text, 0, 65_535) ?? servicePort(text, use.context.protocol?.number);
  if (port === undefined) throw refuse(`invalid port/service \`${text}' specified`);
  return port;
}

/** `P`, `P:P`, `P:`, `:P`, in order. */
export function portRange(text: string, use: OptionUse): Range {
  const colon = text.indexOf(":");
  if (colon < 0) {
    const port = parsePort(text, use);
    return { low: port, high: port };
  }
  const low = colon === 0 ? 0 : parsePort(text.slice(0, colon), use);
  const high = colon === text.length - 1 ? 65_535 : parsePort(text.slice(colon + 1), use);
  if (low > high) throw refuse("invalid portrange (min > max)");
  return { low, high };
}

export function isFullPortRange({ low, high }: Range): boolean {
  return low === 0 && high === 65_535;
}

/** XTTYPE_HOST. */
export function host(text: string, { context }: OptionUse): IpAddress {
  const address = context.family === "ipv4" ? atonIpv4(text) : undefined;
  const found = address ?? parseHost(text, context.family);
  if (found === undefined) throw refuse(`${hostError(text)}\n`);
  return found;
}

/** As inet_aton: the last of fewer than four numbers fills all bytes that are left, so `24` is 0.0.0.24. */
function atonIpv4(given: string): IpAddress | undefined {
  const parts = given.split(".");
  const last = parts.length - 1;
  if (last > 3) return undefined;
  let value = 0;
  for (const [index, part] of parts.entries()) {
    const room = index === last ? 256 ** (4 - last) : 256;
    const number = parseNumber(part, 0, room - 1);
    if (number === undefined) return undefined;
    value = value * room + number;
  }
  return ipv4(value);
}

/** What getaddrinfo says of a name that it cannot use. */
function hostError(text: string): string {
  const other = parseAddress(text, "ipv4") ?? parseAddress(text, "ipv6");
  return other === undefined
    ? "getaddrinfo: Name or service not known"
    : "getaddrinfo: Address family for hostname not supported";
}

/** XTTYPE_HOSTMASK: `A[/M]`. Host bits are cleared. */
export function hostMask(text: string, use: OptionUse): MaskedAddress {
  const slash = text.indexOf("/");
  if (slash < 0)
    return {
      address: host(text, use),
      mask: maskOf(addressBits(use.context.family), use.context.family),
    };
  const address = host(text.slice(0, slash), use);
  const mask = parseMask(text.slice(slash + 1), use.context.family);
  if (mask === undefined) {
    const { owner, option, context } = use;
    throw refuse(
      `${owner}: bad value for option "--${option}", neither a valid network mask nor valid CIDR (0-${addressBits(context.family)}).\n`,
    );
  }
  return { address: andAddress(address, mask), mask };
}

/** An address without a mask of all ones. */
export function formatHostMask(
  { address, mask }: MaskedAddress,
  format: (mask: IpAddress) => string,
): string {
  const full = maskOf(
    typeof address === "bigint" ? 128 : 32,
    typeof address === "bigint" ? "ipv6" : "ipv4",
  );
  return mask === full ? formatAddress(address) : `${formatAddress(address)}${format(mask)}`;
}

/** XTTYPE_PROTOCOL. */
export function protocol(text: string): number {
  return parseProtocol(text);
}

/** XTTYPE_ETHERMAC. */
export function mac(text: string): Mac {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text))
    throw refuse("Invalid MAC address specified.");
  return text.split(":").reduce((value, byte) => value * 256 + Number.parseInt(byte, 16), 0) as Mac;
}

/** A text kept as it is. */
export function text(value: string): string {
  return value;
}

/** `! ` before a negated option. */
export function not(invert: boolean): string {
  return invert ? "! " : "";
}

/** XTTYPE_PORTRC: `P[:P]` in any order, names allowed, open ends filled. */
export function loosePortRange(given: string, { owner, option }: OptionUse): Range {
  const parts = given.split(":");
  if (parts.length > 2)
    throw refuse(`${owner}: Too many components for option "--${option}" (max: 2)\n`);
  const bound = (part: string, otherwise: number): number => {
    if (part === "" && parts.length === 2) return otherwise;
    const port = parseNumber(part, 0, 65_535) ?? servicePort(part, undefined);
    if (port === undefined) throw refuse(`Port "${part}" does not resolve to anything.\n`);
    return port;
  };
  const low = bound(parts[0] ?? "", 0);
  return { low, high: parts.length === 1 ? low : bound(parts[1] ?? "", 65_535) };
}

/** A test that may be negated. */
export interface Negatable<T> {
  readonly value: T;
  readonly invert: boolean;
}

/** `[! ]--name value`, or nothing for a test that is not there. */
export function formatTest<T>(
  name: string,
  test: Negatable<T> | undefined,
  format: (value: T) => string,
): readonly string[] {
  return test === undefined ? [] : [`${not(test.invert)}--${name} ${format(test.value)}`];
}

/** `[! ]--name`, or nothing. */
export function formatFlag(
  name: string,
  test: { readonly invert: boolean } | undefined,
): readonly string[] {
  return test === undefined ? [] : [`${not(test.invert)}--${name}`];
}

/** How nft 1.8.9 prints two tests of one field as one: the second value, negated when either was. */
export function mergeTests<T>(
  first: Negatable<T> | undefined,
  second: Negatable<T> | undefined,
): Negatable<T> | undefined {
  if (first === undefined || second === undefined) return second ?? first;
  return { value: second.value, invert: first.invert || second.invert };
}
