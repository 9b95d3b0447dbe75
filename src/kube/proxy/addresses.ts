import {
  formatIpv4,
  formatIpv6,
  maskIpv4,
  maskIpv6,
  mappedIpv4,
  parseIpv4,
  parseIpv6,
  type Ipv4,
  type Ipv6,
} from "../../wire/ip.js";

export type IpFamily = 4 | 6;

/** One address: its bits, and its canonical text (`10.0.0.1`, `fd00::1`). */
export type Address =
  | { readonly family: 4; readonly bits: Ipv4; readonly text: string }
  | { readonly family: 6; readonly bits: Ipv6; readonly text: string };

/** A block of addresses with its host bits cleared; `text` is `network/length`. */
export type Cidr =
  | { readonly family: 4; readonly bits: Ipv4; readonly length: number; readonly text: string }
  | { readonly family: 6; readonly bits: Ipv6; readonly length: number; readonly text: string };

/**
 * Reads an address as Kubernetes reads what older releases stored: leading zeros in IPv4 parts are decimal, and an
 * IPv4-mapped IPv6 address is the IPv4 address. Mirrors k8s.io/utils/net:ParseIPSloppy().
 */
export function parseAddress(text: string): Address | undefined {
  const v4 = parseIpv4(text) ?? parseIpv4(withoutLeadingZeros(text));
  if (v4 !== undefined) return ipv4Address(v4);
  const v6 = parseIpv6(text);
  if (v6 === undefined) return undefined;
  const mapped = mappedIpv4(v6);
  return mapped === undefined ? { family: 6, bits: v6, text: formatIpv6(v6) } : ipv4Address(mapped);
}

/** Reads `address/length`, leniently as `parseAddress`. Mirrors k8s.io/utils/net:ParseCIDRSloppy(). */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0 || !/^\d{1,3}$/.test(text.slice(slash + 1))) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const length = Number(text.slice(slash + 1));
  return address === undefined ? undefined : cidrOf(address, length);
}

/** The block of `length` bits around an address; undefined when the family has fewer bits. */
export function cidrOf(address: Address, length: number): Cidr | undefined {
  if (length > bitsOf(address.family)) return undefined;
  if (address.family === 4) {
    const bits = maskIpv4(address.bits, length);
    return { family: 4, bits, length, text: `${formatIpv4(bits)}/${length}` };
  }
  const bits = maskIpv6(address.bits, length);
  return { family: 6, bits, length, text: `${formatIpv6(bits)}/${length}` };
}

export function bitsOf(family: IpFamily): 32 | 128 {
  return family === 4 ? 32 : 128;
}

export function cidrContains(cidr: Cidr, address: Address): boolean {
  if (cidr.family === 4)
    return address.family === 4 && maskIpv4(address.bits, cidr.length) === cidr.bits;
  return address.family === 6 && maskIpv6(address.bits, cidr.length) === cidr.bits;
}

export function isLoopback(address: Address): boolean {
  return address.family === 4 ? address.bits >>> 24 === 127 : address.bits === 1n;
}

/** `10.0.0.1:80`, `[fd00::1]:80`. Mirrors net:JoinHostPort(). */
export function hostPort(address: Address, port: number): string {
  return address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}

function ipv4Address(bits: Ipv4): Address {
  return { family: 4, bits, text: formatIpv4(bits) };
}

function withoutLeadingZeros(text: string): string {
  return /^\d+(\.\d+){3}$/.test(text) ? text.replace(/(^|\.)0+(?=\d)/g, "$1") : text;
}
