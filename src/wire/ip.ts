/**
 * Addresses and what is done with their bits. Shifts and masks on addresses live in this file alone.
 * IPv4 is an unsigned 32-bit number, IPv6 a 128-bit bigint, a MAC an unsigned 48-bit number.
 */
declare const ipv4Brand: unique symbol;
declare const ipv6Brand: unique symbol;
declare const macBrand: unique symbol;

export type Ipv4 = number & { readonly [ipv4Brand]: true };
export type Ipv6 = bigint & { readonly [ipv6Brand]: true };
export type Mac = number & { readonly [macBrand]: true };
export type IpAddress = Ipv4 | Ipv6;

/** A block of addresses. `address` keeps the host bits it was given; `networkOf` clears them. */
export interface Ipv4Prefix {
  readonly address: Ipv4;
  readonly length: number;
}

export const IPV4_ANY: Ipv4 = 0 as Ipv4;
export const IPV4_BROADCAST: Ipv4 = 0xffff_ffff as Ipv4;
export const IPV4_LOOPBACK: Ipv4 = 0x7f00_0001 as Ipv4;
export const MAC_ZERO: Mac = 0 as Mac;
export const MAC_BROADCAST: Mac = 0xffff_ffff_ffff as Mac;

/** A number known to be 0..2^32-1 as an address. */
export function ipv4(value: number): Ipv4 {
  return (value >>> 0) as Ipv4;
}

/** Reads `a.b.c.d` strictly: four decimal numbers 0..255 without leading zeros. Anything else is undefined. */
export function parseIpv4(text: string): Ipv4 | undefined {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x2e) {
      if (octet < 0 || ++dots > 3) return undefined;
      value = value * 256 + octet;
      octet = -1;
      continue;
    }
    if (code < 0x30 || code > 0x39 || octet === 0) return undefined;
    octet = (octet < 0 ? 0 : octet * 10) + code - 0x30;
    if (octet > 255) return undefined;
  }
  return dots === 3 && octet >= 0 ? ((value * 256 + octet) as Ipv4) : undefined;
}

export function formatIpv4(address: Ipv4): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The mask of a prefix length 0..32. */
export function ipv4Mask(length: number): Ipv4 {
  return (length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0) as Ipv4;
}

/** Reads `a.b.c.d/n` with n 0..32; a bare address is a /32. Host bits are kept. */
export function parseIpv4Prefix(text: string): Ipv4Prefix | undefined {
  const slash = text.indexOf("/");
  const address = parseIpv4(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  if (slash < 0) return { address, length: 32 };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d?)$/.test(digits) || Number(digits) > 32) return undefined;
  return { address, length: Number(digits) };
}

export function formatIpv4Prefix(prefix: Ipv4Prefix): string {
  return `${formatIpv4(prefix.address)}/${prefix.length}`;
}

/** The same block with its host bits cleared. */
export function networkOf(prefix: Ipv4Prefix): Ipv4Prefix {
  return { address: maskIpv4(prefix.address, prefix.length), length: prefix.length };
}

export function maskIpv4(address: Ipv4, length: number): Ipv4 {
  return ((address & ipv4Mask(length)) >>> 0) as Ipv4;
}

/** The host of `address` in the network `to`: its prefix, and the host bits as they are. */
export function mapIpv4Prefix(address: Ipv4, to: Ipv4Prefix): Ipv4 {
  const mask = ipv4Mask(to.length);
  return (((to.address & mask) | (address & ~mask)) >>> 0) as Ipv4;
}

/** The network part of `to` with the host part of `address`. */
export function mapIpv6Prefix(address: Ipv6, to: Ipv6Prefix): Ipv6 {
  const hosts = (1n << BigInt(128 - to.length)) - 1n;
  return ((to.address & ~hosts) | (address & hosts)) as Ipv6;
}

export function prefixContains(prefix: Ipv4Prefix, address: Ipv4): boolean {
  return ((prefix.address ^ address) & ipv4Mask(prefix.length)) === 0;
}

export function prefixesOverlap(a: Ipv4Prefix, b: Ipv4Prefix): boolean {
  return ((a.address ^ b.address) & ipv4Mask(Math.min(a.length, b.length))) === 0;
}

/** The last address of a block: its directed broadcast address. */
export function broadcastOf(prefix: Ipv4Prefix): Ipv4 {
  return ((prefix.address | ~ipv4Mask(prefix.length)) >>> 0) as Ipv4;
}

/** `address + offset`, within 32 bits. */
export function addToIpv4(address: Ipv4, offset: number): Ipv4 {
  return ((address + offset) >>> 0) as Ipv4;
}

export function isIpv4Multicast(address: Ipv4): boolean {
  return address >>> 28 === 0xe;
}

export function isIpv4Loopback(address: Ipv4): boolean {
  return address >>> 24 === 127;
}

/** Reads `xx:xx:xx:xx:xx:xx` in hexadecimal, one or two digits a byte. */
export function parseMac(text: string): Mac | undefined {
  if (!/^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i.test(text)) return undefined;
  return text.split(":").reduce((value, byte) => value * 256 + Number.parseInt(byte, 16), 0) as Mac;
}

export function formatMac(mac: Mac): string {
  const digits = mac.toString(16).padStart(12, "0");
  return `${digits.slice(0, 2)}:${digits.slice(2, 4)}:${digits.slice(4, 6)}:${digits.slice(6, 8)}:${digits.slice(8, 10)}:${digits.slice(10)}`;
}

/** The group bit: true for broadcast as well. */
export function isMulticastMac(mac: Mac): boolean {
  return (Math.floor(mac / 0x100_0000_0000) & 1) === 1;
}

/** The Ethernet group of an IPv4 multicast address. RFC 1112 §6.4. */
export function multicastMac(group: Ipv4): Mac {
  return (0x0100_5e00_0000 + (group & 0x7f_ffff)) as Mac;
}

/** Reads an IPv6 address: groups of up to four hex digits, one `::`, an IPv4 tail. No zone. Anything else is undefined. */
export function parseIpv6(text: string): Ipv6 | undefined {
  if (text.length > 45 || !/^[0-9a-f:.]+$/i.test(text)) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const left = ipv6Groups(halves[0] ?? "", halves.length === 1);
  const right = ipv6Groups(halves[1] ?? "", true);
  if (left === undefined || right === undefined) return undefined;
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...Array.from({ length: missing }, () => 0), ...right];
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n) as Ipv6;
}

/** The 16-bit groups of one side of `::`; an IPv4 tail counts as two and may only stand `last`. */
function ipv6Groups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const tail = last && index === parts.length - 1 ? parseIpv4(part) : undefined;
      if (tail === undefined) return undefined;
      groups.push(tail >>> 16, tail & 0xffff);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/**
 * RFC 5952: lower case, no leading zeros, `::` for the first longest run of at least two zero groups; an IPv4 address within as
 * `::ffff:10.0.0.1` or `::10.0.0.1`. Mirrors inet_ntop().
 */
export function formatIpv6(address: Ipv6): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number((address >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  let start = 8;
  let length = 1;
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (to < 8 && groups[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
  }
  const last = ipv4(groups[6] === undefined ? 0 : groups[6] * 0x1_0000 + (groups[7] ?? 0));
  if (start === 0 && length === 6) return `::${formatIpv4(last)}`;
  if (start === 0 && length === 5 && groups[5] === 0xffff) return `::ffff:${formatIpv4(last)}`;
  const hex = (part: readonly number[]): string =>
    part.map((group) => group.toString(16)).join(":");
  return start === 8
    ? hex(groups)
    : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** The address with all but its first `length` (0..128) bits cleared. */
export function maskIpv6(address: Ipv6, length: number): Ipv6 {
  return ((address >> BigInt(128 - length)) << BigInt(128 - length)) as Ipv6;
}

/** The IPv4 address inside `::ffff:a.b.c.d`, or undefined. RFC 4291 §2.5.5.2. */
export function mappedIpv4(address: Ipv6): Ipv4 | undefined {
  return address >> 32n === 0xffffn ? ipv4(Number(address & 0xffff_ffffn)) : undefined;
}

export const IPV6_ANY: Ipv6 = 0n as Ipv6;
export const IPV6_LOOPBACK: Ipv6 = 1n as Ipv6;
/** ff02::1. */
export const IPV6_ALL_NODES: Ipv6 = ((0xff02n << 112n) | 1n) as Ipv6;
/** ff02::2. */
export const IPV6_ALL_ROUTERS: Ipv6 = ((0xff02n << 112n) | 2n) as Ipv6;
/** ff02::16: where MLDv2 reports go. */
export const IPV6_ALL_MLD2_ROUTERS: Ipv6 = ((0xff02n << 112n) | 0x16n) as Ipv6;

/** A block of addresses of either family. `address` keeps the host bits it was given. */
export interface IpPrefix<A extends IpAddress = IpAddress> {
  readonly address: A;
  readonly length: number;
}

export type Ipv6Prefix = IpPrefix<Ipv6>;

/** The 16 bytes at `at` as an address. */
export function getIpv6(bytes: Uint8Array, at: number): Ipv6 {
  let high = 0n;
  for (let word = 0; word < 16; word += 4) {
    const index = at + word;
    const value =
      (bytes[index] ?? 0) * 0x100_0000 +
      (((bytes[index + 1] ?? 0) << 16) | ((bytes[index + 2] ?? 0) << 8) | (bytes[index + 3] ?? 0));
    high = (high << 32n) | BigInt(value);
  }
  return high as Ipv6;
}

/** Writes the address over the 16 bytes at `at`. */
export function putIpv6(bytes: Uint8Array, at: number, address: Ipv6): void {
  for (const [index, word] of ipv6Words(address).entries()) {
    bytes[at + 4 * index] = word >>> 24;
    bytes[at + 4 * index + 1] = word >>> 16;
    bytes[at + 4 * index + 2] = word >>> 8;
    bytes[at + 4 * index + 3] = word;
  }
}

/** The address of four 32-bit words, the highest first. */
export function ipv6FromWords([a = 0, b = 0, c = 0, d = 0]: readonly number[]): Ipv6 {
  const high = (BigInt(a) << 32n) | BigInt(b);
  return ((high << 64n) | (BigInt(c) << 32n) | BigInt(d)) as Ipv6;
}

/** The four 32-bit words of an address, the highest first. */
export function ipv6Words(address: Ipv6): readonly [number, number, number, number] {
  return [
    Number(address >> 96n),
    Number((address >> 64n) & 0xffff_ffffn),
    Number((address >> 32n) & 0xffff_ffffn),
    Number(address & 0xffff_ffffn),
  ];
}

/** Reads `ADDRESS/n` with n 0..128; a bare address is a /128. Host bits are kept. */
export function parseIpv6Prefix(text: string): Ipv6Prefix | undefined {
  const slash = text.indexOf("/");
  const address = parseIpv6(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  if (slash < 0) return { address, length: 128 };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > 128) return undefined;
  return { address, length: Number(digits) };
}

export function ipv6PrefixContains(prefix: Ipv6Prefix, address: Ipv6): boolean {
  return (prefix.address ^ address) >> BigInt(128 - prefix.length) === 0n;
}

/** Whether an address is in a block of its own family. */
export function ipPrefixContains({ address, length }: IpPrefix, candidate: IpAddress): boolean {
  if (typeof address === "number")
    return typeof candidate === "number" && ((address ^ candidate) & ipv4Mask(length)) === 0;
  return typeof candidate === "bigint" && ipv6PrefixContains({ address, length }, candidate);
}

/** ff00::/8. */
export function isIpv6Multicast(address: Ipv6): boolean {
  return address >> 120n === 0xffn;
}

/** fe80::/10. */
export function isIpv6LinkLocal(address: Ipv6): boolean {
  return address >> 118n === 0x3fan;
}

/** The low four bits of a multicast address's second byte. RFC 4291 §2.7. */
export function ipv6MulticastScope(address: Ipv6): number {
  return Number((address >> 112n) & 0xfn);
}

/** ff02::1:ffXX:XXXX, the group that an address's neighbours ask in. RFC 4291 §2.7.1. */
export function solicitedNode(address: Ipv6): Ipv6 {
  return (0xff02_0000_0000_0000_0000_0001_ff00_0000n | (address & 0xff_ffffn)) as bigint as Ipv6;
}

/** The Ethernet group of an IPv6 multicast address. RFC 2464 §7. */
export function multicastMac6(group: Ipv6): Mac {
  return (0x3333_0000_0000 + Number(group & 0xffff_ffffn)) as Mac;
}

/** Whether an address names one interface: not ::, no group, and no IPv4 address in IPv6's clothes. Mirrors ipv6_addr_type() & IPV6_ADDR_UNICAST. */
export function isUnicastIpv6(address: Ipv6): boolean {
  return address !== IPV6_ANY && !isIpv6Multicast(address) && mappedIpv4(address) === undefined;
}

/** fe80:: with the interface identifier of a MAC. RFC 4291, appendix A. */
export function linkLocalOf(mac: Mac, devId = 0): Ipv6 {
  return ((0xfe80n << 112n) | interfaceIdOf(mac, devId)) as Ipv6;
}

/**
 * The modified EUI-64 of a MAC: fffe in its middle, the universal bit flipped; `devId`, if not 0, tells devices with one
 * MAC apart. Mirrors include/net/addrconf.h:addrconf_ifid_eui48().
 */
export function interfaceIdOf(mac: Mac, devId = 0): bigint {
  if (devId !== 0) {
    const own = BigInt(mac);
    return ((own >> 24n) << 40n) | (BigInt(devId) << 24n) | (own & 0xff_ffffn);
  }
  const bits = BigInt(mac) ^ 0x0200_0000_0000n;
  return ((bits >> 24n) << 40n) | 0xff_fe00_0000n | (bits & 0xff_ffffn);
}

export function formatIpv6Prefix(prefix: Ipv6Prefix): string {
  return `${formatIpv6(prefix.address)}/${prefix.length}`;
}

/** 0.0.0.0 or ::. */
export function isAnyAddress(address: IpAddress): boolean {
  return address === 0 || address === 0n;
}

/** An address of either family as text. */
export function formatIp(address: IpAddress): string {
  return typeof address === "number" ? formatIpv4(address) : formatIpv6(address);
}

/** An address as a 32-bit number for hash tables: an IPv4 address is itself, of IPv6 the four words are folded together. */
export function foldAddress(address: IpAddress): number {
  if (typeof address === "number") return address;
  const words = address ^ (address >> 64n);
  return Number((words ^ (words >> 32n)) & 0xffff_ffffn);
}
