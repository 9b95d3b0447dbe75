import {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_SITE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTPROT_BOOT,
  RTPROT_KERNEL,
  RTPROT_REDIRECT,
  RTPROT_STATIC,
} from "./fib-types.js";

/** The names that iproute2 knows by /etc/iproute2/rt_*; other numbers stand for themselves. */
const TABLES: readonly Name[] = [
  ["default", RT_TABLE_DEFAULT],
  ["main", RT_TABLE_MAIN],
  ["local", RT_TABLE_LOCAL],
  ["unspec", 0],
];
const SCOPES: readonly Name[] = [
  ["global", RT_SCOPE_UNIVERSE],
  ["nowhere", RT_SCOPE_NOWHERE],
  ["host", RT_SCOPE_HOST],
  ["link", RT_SCOPE_LINK],
  ["site", RT_SCOPE_SITE],
];
const PROTOCOLS: readonly Name[] = [
  ["unspec", 0],
  ["redirect", RTPROT_REDIRECT],
  ["kernel", RTPROT_KERNEL],
  ["boot", RTPROT_BOOT],
  ["static", RTPROT_STATIC],
  ["gated", 8],
  ["ra", 9],
  ["mrt", 10],
  ["zebra", 11],
  ["bird", 12],
  ["dnrouted", 13],
  ["xorp", 14],
  ["ntk", 15],
  ["dhcp", 16],
  ["keepalived", 18],
  ["babel", 42],
  ["bgp", 186],
  ["isis", 187],
  ["ospf", 188],
  ["rip", 189],
  ["eigrp", 192],
];
const IP_PROTOCOLS: readonly Name[] = [
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["sctp", 132],
];

type Name = readonly [string, number];

export function tableName(id: number): string {
  return nameOf(TABLES, id);
}

/** A table by name or number 0..2^32-1. */
export function parseTable(text: string): number | undefined {
  return parseName(TABLES, text, 0xffff_ffff);
}

export function scopeName(scope: number): string {
  return nameOf(SCOPES, scope);
}

export function parseScope(text: string): number | undefined {
  return parseName(SCOPES, text, 255);
}

export function routeProtocolName(protocol: number): string {
  return nameOf(PROTOCOLS, protocol);
}

export function parseRouteProtocol(text: string): number | undefined {
  return parseName(PROTOCOLS, text, 255);
}

export function protocolName(protocol: number): string {
  return nameOf(IP_PROTOCOLS, protocol);
}

export function parseProtocol(text: string): number | undefined {
  return parseName(IP_PROTOCOLS, text, 255);
}

function nameOf(names: readonly Name[], value: number): string {
  return names.find(([, number]) => number === value)?.[0] ?? String(value);
}

function parseName(names: readonly Name[], text: string, high: number): number | undefined {
  const named = names.find(([name]) => name === text)?.[1];
  if (named !== undefined) return named;
  if (!/^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text)) return undefined;
  const value = Number(text);
  return value <= high ? value : undefined;
}
