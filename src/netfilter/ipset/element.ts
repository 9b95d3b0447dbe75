import {
  formatIpv4,
  formatIpv6,
  type IpAddress,
  IPV4_ANY,
  IPV6_ANY,
  type Mac,
  MAC_ZERO,
} from "../../wire/ip.js";
import { formatPort, formatSetProtocol } from "./ports.js";
import type { Dimension, SetType } from "./types.js";

/** The key of one element: every part that a type may have, those it lacks at rest. */
export interface Element {
  /** The address of the first dimension, host bits cleared in a net. */
  readonly ip: IpAddress;
  readonly cidr: number;
  /** The address of the last dimension. */
  readonly ip2: IpAddress;
  readonly cidr2: number;
  readonly proto: number;
  readonly port: number;
  /** Undefined in bitmap:ip,mac for an address whose MAC is not known yet. */
  readonly mac: Mac | undefined;
  readonly mark: number;
  readonly iface: string;
  readonly physdev: boolean;
  readonly wildcard: boolean;
}

export const NO_ELEMENT: Element = {
  ip: IPV4_ANY,
  cidr: 32,
  ip2: IPV4_ANY,
  cidr2: 32,
  proto: 0,
  port: 0,
  mac: MAC_ZERO,
  mark: 0,
  iface: "",
  physdev: false,
  wildcard: false,
};

/** The same of sets of family inet6. */
export const NO_ELEMENT6: Element = {
  ...NO_ELEMENT,
  ip: IPV6_ANY,
  cidr: 128,
  ip2: IPV6_ANY,
  cidr2: 128,
};

/** `10.0.0.1,tcp:80`: as list prints it and add takes it, without what follows the key. */
export function formatElement(element: Element, { dimensions, method }: SetType): string {
  return dimensions
    .map((dimension, index) => formatPart(element, dimension, index, method))
    .filter((text) => text !== undefined)
    .join(",");
}

function formatPart(
  element: Element,
  dimension: Dimension,
  index: number,
  method: SetType["method"],
): string | undefined {
  switch (dimension) {
    case "ip":
      return formatSetAddress(index === 0 ? element.ip : element.ip2);
    case "net":
      return index === 0
        ? formatNet(element.ip, element.cidr)
        : formatNet(element.ip2, element.cidr2);
    case "port":
      return method === "bitmap"
        ? String(element.port)
        : `${formatSetProtocol(element.proto)}:${formatPort(element.proto, element.port)}`;
    case "mac":
      return element.mac === undefined ? undefined : formatSetMac(element.mac);
    case "mark":
      return `0x${element.mark.toString(16).padStart(8, "0")}`;
    case "iface":
      return `${element.physdev ? "physdev:" : ""}${element.iface}`;
    case "set":
      return element.iface;
  }
}

/** As getnameinfo() prints it: an IPv4 address inside an IPv6 one in its own form. */
export function formatSetAddress(address: IpAddress): string {
  if (typeof address === "number") return formatIpv4(address);
  const high = address >> 32n;
  const low = Number(address & 0xffff_ffffn);
  // Mirrors inet_ntop(): `::a.b.c.d` and `::ffff:a.b.c.d`.
  if (high === 0n && low > 0xffff) return `::${formatIpv4(low as typeof IPV4_ANY)}`;
  if (high === 0xffffn) return `::ffff:${formatIpv4(low as typeof IPV4_ANY)}`;
  return formatIpv6(address);
}

/** A host's net prints without a length. */
export function formatNet(address: IpAddress, cidr: number): string {
  const bits = typeof address === "number" ? 32 : 128;
  return `${formatSetAddress(address)}${cidr === bits ? "" : `/${cidr}`}`;
}

export function formatSetMac(mac: Mac): string {
  const digits = mac.toString(16).toUpperCase().padStart(12, "0");
  return digits.match(/../g)?.join(":") ?? digits;
}

/** An element and what is said of it. */
interface Marked {
  readonly element: Element;
  readonly nomatch: boolean;
}

/** The order of `-s`: part by part, longer nets before shorter ones of the same address. */
export function compareElements(
  { element: a, nomatch }: Marked,
  { element: b, nomatch: otherNomatch }: Marked,
): number {
  return (
    compareAddresses(a.ip, b.ip) ||
    b.cidr - a.cidr ||
    a.proto - b.proto ||
    a.port - b.port ||
    compareAddresses(a.ip2, b.ip2) ||
    b.cidr2 - a.cidr2 ||
    (a.mac ?? 0) - (b.mac ?? 0) ||
    a.mark - b.mark ||
    Number(nomatch) - Number(otherNomatch) ||
    Number(a.wildcard) - Number(b.wildcard) ||
    Number(a.physdev) - Number(b.physdev) ||
    (a.iface < b.iface ? -1 : Number(a.iface > b.iface))
  );
}

function compareAddresses(a: IpAddress, b: IpAddress): number {
  return a < b ? -1 : Number(a > b);
}
