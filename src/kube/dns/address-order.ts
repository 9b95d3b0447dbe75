import type { NetworkNamespace } from "../../core/namespace.js";
import { familyOf } from "../../inet/families.js";
import { isRoute } from "../../inet/route-output.js";
import {
  type IpAddress,
  ipv6PrefixContains,
  type Ipv6Prefix,
  isIpv4Loopback,
  isIpv6LinkLocal,
  parseIpv6Prefix,
} from "../../wire/ip.js";

/** glibc's labels and precedences, the first prefix that fits counts. Mirrors sysdeps/posix/getaddrinfo.c:default_labels, default_precedence. */
const labels: readonly (readonly [string, number])[] = [
  ["::1/128", 0],
  ["2002::/16", 2],
  ["fec0::/10", 5],
  ["fc00::/7", 6],
  ["2001::/32", 7],
  ["::/0", 1],
];
const precedences: readonly (readonly [string, number])[] = [
  ["::1/128", 50],
  ["2002::/16", 30],
  ["::/0", 40],
];
/** Of IPv4, which stands in the tables as ::ffff:0:0/96. */
const LABEL4 = 4;
const PRECEDENCE4 = 10;

type Table = readonly { readonly prefix: Ipv6Prefix; readonly value: number }[];

const labelTable: Table = tableOf(labels);
const precedenceTable: Table = tableOf(precedences);

function tableOf(rows: readonly (readonly [string, number])[]): Table {
  return rows.flatMap(([text, value]) => {
    const prefix = parseIpv6Prefix(text);
    return prefix === undefined ? [] : [{ prefix, value }];
  });
}

interface Candidate {
  readonly address: IpAddress;
  /** The address that a socket to it would send from; undefined where there is no way. */
  readonly source: IpAddress | undefined;
}

/**
 * The addresses of one name in the order that getaddrinfo hands them to a program in this namespace. Differs: where all are
 * of IPv4 they stay in the order of the answer. Mirrors glibc sysdeps/posix/getaddrinfo.c:rfc3484_sort(), which keeps RFC
 * 3484's precedences: a unique local address of IPv6 comes before one of IPv4 where both ends have one.
 */
export function inOrderOfUse(
  ns: NetworkNamespace,
  addresses: readonly IpAddress[],
): readonly IpAddress[] {
  if (addresses.every((address) => typeof address === "number")) return addresses;
  const candidates = addresses.map((address): Candidate => ({
    address,
    source: sourceTo(ns, address),
  }));
  return candidates.toSorted(compare).map(({ address }) => address);
}

function sourceTo(ns: NetworkNamespace, destination: IpAddress): IpAddress | undefined {
  const family = familyOf(destination);
  const route = family.route(ns, { destination, mark: 0, tos: 0, protocol: 17 });
  return isRoute(route) ? route.source : undefined;
}

/** Rules 1, 2, 5, 6, 8 and 9 of RFC 3484 §6; sorting is stable, which is rule 10. */
function compare(a: Candidate, b: Candidate): number {
  if ((a.source === undefined) !== (b.source === undefined)) return a.source === undefined ? 1 : -1;
  if (a.source === undefined || b.source === undefined) return 0;
  return (
    fits(b, scopeOf) - fits(a, scopeOf) ||
    fits(b, labelOf) - fits(a, labelOf) ||
    precedenceOf(b.address) - precedenceOf(a.address) ||
    scopeOf(a.address) - scopeOf(b.address) ||
    commonBits(b) - commonBits(a)
  );
}

function fits({ address, source }: Candidate, of: (address: IpAddress) => number): number {
  return source !== undefined && of(address) === of(source) ? 1 : 0;
}

/** 2 for link-local, 14 for global. */
function scopeOf(address: IpAddress): number {
  const near =
    typeof address === "number"
      ? isIpv4Loopback(address) || address >>> 16 === 0xa9fe
      : isIpv6LinkLocal(address) || address === 1n;
  return near ? 2 : 14;
}

function labelOf(address: IpAddress): number {
  return typeof address === "number" ? LABEL4 : valueOf(labelTable, address);
}

function precedenceOf(address: IpAddress): number {
  return typeof address === "number" ? PRECEDENCE4 : valueOf(precedenceTable, address);
}

function valueOf(table: Table, address: Extract<IpAddress, bigint>): number {
  return table.find(({ prefix }) => ipv6PrefixContains(prefix, address))?.value ?? 1;
}

/** How many bits an IPv6 address and its source share from the left; 0 for IPv4. */
function commonBits({ address, source }: Candidate): number {
  if (typeof address !== "bigint" || typeof source !== "bigint") return 0;
  return 128 - (address ^ source).toString(2).replace(/^0$/, "").length;
}
