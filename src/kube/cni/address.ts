import {
  formatIpv4,
  formatIpv6,
  type Ipv4,
  type Ipv6,
  parseIpv4,
  parseIpv6,
} from "../../wire/ip.js";

/** An address of either family, as a number that can be counted up and down. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A block of addresses; `address` may have host bits. */
export interface Block extends Address {
  readonly length: number;
}

export function parseAddress(text: string): Address | undefined {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return { family: 4, value: BigInt(v4) };
  const v6 = parseIpv6(text);
  return v6 === undefined ? undefined : { family: 6, value: v6 };
}

export function formatAddress({ family, value }: Address): string {
  return family === 4 ? formatIpv4(Number(value) as Ipv4) : formatIpv6(value as Ipv6);
}

/** Reads `address/length`; a bare address is refused. */
export function parseBlock(text: string): Block | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const length = Number(digits);
  return length > bits(address) ? undefined : { ...address, length };
}

export function formatBlock(block: Block): string {
  return `${formatAddress(block)}/${block.length}`;
}

/** 32 or 128. */
export function bits({ family }: Address): number {
  return family === 4 ? 32 : 128;
}

/** The first address of the block. */
export function firstOf(block: Block): Address {
  const host = BigInt(bits(block) - block.length);
  return { family: block.family, value: (block.value >> host) << host };
}

/** The last address of the block; the broadcast address of an IPv4 one. */
export function lastOf(block: Block): Address {
  const { family, value } = firstOf(block);
  return { family, value: value + (1n << BigInt(bits(block) - block.length)) - 1n };
}

export function blockContains(block: Block, address: Address): boolean {
  return (
    address.family === block.family &&
    address.value >= firstOf(block).value &&
    address.value <= lastOf(block).value
  );
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

export function step(address: Address, by: bigint): Address {
  return { family: address.family, value: address.value + by };
}
