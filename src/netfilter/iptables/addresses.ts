import {
  formatIpv4,
  formatIpv6,
  ipv4,
  ipv4Mask,
  type IpAddress,
  type Ipv4,
  type Ipv6,
  mappedIpv4,
  parseIpv4,
  parseIpv6,
} from "../../wire/ip.js";
import { parseNumber } from "./numbers.js";
import { refuse } from "./refusal.js";

/** The address families that have a set of tables of their own. */
export type RuleFamily = "ipv4" | "ipv6";

/** An address under a mask, which need not be a prefix. `address` has its bits outside the mask cleared. */
export interface MaskedAddress {
  readonly address: IpAddress;
  readonly mask: IpAddress;
}

const ALL_V6 = ((1n << 128n) - 1n) as Ipv6;
const HOSTS: Readonly<Record<string, readonly [Ipv4, Ipv6]>> = {
  localhost: [ipv4(0x7f00_0001), 1n as Ipv6],
};

/** One address as inet_pton reads it, octal and hex octets and missing ones (0) allowed in IPv4. Mirrors numeric_to_ipaddr(). */
export function parseAddress(text: string, family: RuleFamily): IpAddress | undefined {
  return family === "ipv6" ? parseIpv6(text) : (parseIpv4(text) ?? parseLooseIpv4(text, false));
}

function parseLooseIpv4(text: string, whole: boolean): Ipv4 | undefined {
  const parts = text.split(".");
  if (parts.length > 4 || (whole && parts.length !== 4)) return undefined;
  let value = 0;
  for (let index = 0; index < 4; index++) {
    const octet = index < parts.length ? parseNumber(parts[index] ?? "", 0, 255) : 0;
    if (octet === undefined) return undefined;
    value = value * 256 + octet;
  }
  return ipv4(value);
}

/** The mask of a prefix length. */
export function maskOf(length: number, family: RuleFamily): IpAddress {
  if (family === "ipv4") return ipv4Mask(length);
  return ((ALL_V6 >> BigInt(128 - length)) << BigInt(128 - length)) as Ipv6;
}

export function addressBits(family: RuleFamily): number {
  return family === "ipv4" ? 32 : 128;
}

/** A mask given as length or as address, or undefined. */
export function parseMask(text: string, family: RuleFamily): IpAddress | undefined {
  const length = parseNumber(text, 0, addressBits(family));
  if (length !== undefined) return maskOf(length, family);
  return family === "ipv4" ? parseLooseIpv4(text, true) : parseIpv6(text);
}

/** `A[/M]` or a host name, in the words of `-s` and `-d`. */
export function parseHostMask(text: string, family: RuleFamily): MaskedAddress {
  const slash = text.lastIndexOf("/");
  const host = slash < 0 ? text : text.slice(0, slash);
  const maskText = slash < 0 ? undefined : text.slice(slash + 1);
  const mask =
    maskText === undefined ? maskOf(addressBits(family), family) : parseMask(maskText, family);
  if (mask === undefined) throw refuse(`invalid mask \`${maskText}' specified`);
  const address = parseHost(host, family);
  if (address === undefined) throw refuse(`host/network \`${host}' not found`);
  return { address: andAddress(address, mask), mask };
}

/** An address or a name that resolves without asking anyone. */
export function parseHost(text: string, family: RuleFamily): IpAddress | undefined {
  return parseAddress(text, family) ?? namedHost(text, family);
}

function namedHost(text: string, family: RuleFamily): IpAddress | undefined {
  const [v4, v6] = Object.hasOwn(HOSTS, text) ? (HOSTS[text] ?? []) : [];
  return family === "ipv4" ? v4 : v6;
}

export function andAddress(address: IpAddress, mask: IpAddress): IpAddress {
  if (typeof address === "bigint" && typeof mask === "bigint") return (address & mask) as Ipv6;
  return ipv4(Number(address) & Number(mask));
}

/** Whether an address lies under a masked one. */
export function underMask(address: IpAddress, test: MaskedAddress): boolean {
  const { mask } = test;
  // Most addresses and masks are IPv4's: their bits are numbers.
  if (typeof address === "number" && typeof mask === "number")
    return ipv4(address & mask) === test.address;
  return typeof address === typeof test.address && andAddress(address, test.mask) === test.address;
}

/** As inet_ntop prints it: RFC 5952, the tail of a mapped IPv4 address dotted. */
export function formatAddress(address: IpAddress): string {
  if (typeof address === "number") return formatIpv4(address);
  const mapped = mappedIpv4(address);
  return mapped === undefined ? formatIpv6(address) : `::ffff:${formatIpv4(mapped)}`;
}

/** The length of a mask that is a prefix, else undefined. */
export function prefixLength(mask: IpAddress): number | undefined {
  if (typeof mask === "number") {
    const length = Math.clz32(~mask);
    return ipv4Mask(length) === mask ? length : undefined;
  }
  const family: RuleFamily = "ipv6";
  let ones = 0;
  for (
    let bits = BigInt(mask), top = 1n << BigInt(addressBits(family) - 1);
    (bits & top) !== 0n && top > 0n;
    top >>= 1n
  )
    ones++;
  return maskOf(ones, family) === mask ? ones : undefined;
}

/** `/24`, or `/255.0.0.255` for a mask that is no prefix. */
export function formatMask(mask: IpAddress): string {
  const length = prefixLength(mask);
  return length === undefined ? `/${formatAddress(mask)}` : `/${length}`;
}

export function formatMasked({ address, mask }: MaskedAddress): string {
  return `${formatAddress(address)}${formatMask(mask)}`;
}

export function isZeroMask(mask: IpAddress): boolean {
  return BigInt(mask) === 0n;
}
