import {
  formatIpv4,
  formatIpv6,
  type IpAddress,
  mappedIpv4,
  maskIpv4,
  maskIpv6,
  parseIpv4,
  parseIpv6,
} from "../../wire/ip.js";

/** A block of one family. `address` has no host bits. */
export interface Cidr {
  readonly family: 4 | 6;
  readonly address: IpAddress;
  readonly length: number;
}

export function familyOf(address: IpAddress): 4 | 6 {
  return typeof address === "number" ? 4 : 6;
}

/** Reads an address of either family; an IPv4-mapped IPv6 address is the IPv4 one. Leading zeros are tolerated, as the API does. */
export function parseAddress(text: string): IpAddress | undefined {
  const plain = parseIpv4(text.includes(":") ? text : text.replaceAll(/(^|\.)0+(?=\d)/g, "$1"));
  if (plain !== undefined) return plain;
  const six = parseIpv6(text);
  return six === undefined ? undefined : (mappedIpv4(six) ?? six);
}

export function formatAddress(address: IpAddress): string {
  return typeof address === "number" ? formatIpv4(address) : formatIpv6(address);
}

/** Reads `address/length`; host bits are cleared. Undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.lastIndexOf("/");
  if (slash < 0 || !/^\d{1,3}$/.test(text.slice(slash + 1))) return undefined;
  const six = text.includes(":");
  const length = Number(text.slice(slash + 1));
  const address = parseAddress(text.slice(0, slash));
  if (address === undefined) return undefined;
  if (typeof address === "number") {
    const own = six ? length - 96 : length;
    if (own < 0 || own > 32) return undefined;
    return { family: 4, address: maskIpv4(address, own), length: own };
  }
  return length > 128 ? undefined : { family: 6, address: maskIpv6(address, length), length };
}

export function formatCidr({ address, length }: Cidr): string {
  return `${formatAddress(address)}/${length}`;
}

export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (typeof address === "number")
    return cidr.family === 4 && maskIpv4(address, cidr.length) === cidr.address;
  return cidr.family === 6 && maskIpv6(address, cidr.length) === cidr.address;
}

/** Whether `inner` lies in `outer` and is smaller. */
export function isStrictSubset(inner: Cidr, outer: Cidr): boolean {
  return (
    inner.family === outer.family &&
    inner.length > outer.length &&
    cidrContains(outer, inner.address)
  );
}

export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return a.length < b.length ? cidrContains(a, b.address) : cidrContains(b, a.address);
}
