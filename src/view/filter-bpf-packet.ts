import { get16, get32, get8 } from "../wire/bytes.js";
import { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.js";
import { getIpv6, type Ipv4, ipv4 } from "../wire/ip.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import { IPPROTO_SCTP } from "../wire/ports.js";

const ETH_P_RARP = 0x8035;

/*
 * What a packet filter asks of the bytes of an Ethernet frame. `shift` is how far VLAN tags that were tested for move
 * everything behind the addresses. Mirrors gencode.c of libpcap.
 */

export interface BpfPacket {
  readonly bytes: Uint8Array;
}

/** Says yes or no; undefined when it wants a byte that is not there, which fails the whole filter as in the kernel. */
export type BpfTest = (packet: BpfPacket) => boolean | undefined;

export type Direction = "src" | "dst" | "src or dst" | "src and dst";

/** A byte range of a frame as a number; undefined when it is not all there. */
export function load(bytes: Uint8Array, at: number, size: number): number | undefined {
  if (at < 0 || at + size > bytes.length) return undefined;
  return size === 1 ? get8(bytes, at) : size === 2 ? get16(bytes, at) : get32(bytes, at);
}

/** The EtherType; a frame too short for one fails the filter. */
export function etherType(type: number, shift: number): BpfTest {
  return ({ bytes }) => equals(load(bytes, 12 + shift, 2), type);
}

function equals(value: number | undefined, wanted: number): boolean | undefined {
  return value === undefined ? undefined : value === wanted;
}

export function all(tests: readonly BpfTest[]): BpfTest {
  return (packet) => {
    for (const test of tests) {
      const result = test(packet);
      if (result !== true) return result;
    }
    return true;
  };
}

export function any(tests: readonly BpfTest[]): BpfTest {
  return (packet) => {
    for (const test of tests) {
      const result = test(packet);
      if (result !== false) return result;
    }
    return false;
  };
}

export function not(test: BpfTest): BpfTest {
  return (packet) => {
    const result = test(packet);
    return result === undefined ? undefined : !result;
  };
}

/** `ip proto 6`, `ip6 proto 6`, `tcp`: an IP packet that carries this protocol. */
export function ipProtocol(
  protocol: number,
  family: "ip" | "ip6" | "both",
  shift: number,
): BpfTest {
  const four = all([
    etherType(ETH_P_IP, shift),
    ({ bytes }) => equals(load(bytes, 14 + shift + 9, 1), protocol),
  ]);
  const six = all([
    etherType(ETH_P_IPV6, shift),
    ({ bytes }) => {
      const next = load(bytes, 14 + shift + 6, 1);
      if (next === protocol || next === undefined) return equals(next, protocol);
      // One fragment header is looked behind.
      return next === 44 ? equals(load(bytes, 14 + shift + 40, 1), protocol) : false;
    },
  ]);
  return family === "ip" ? four : family === "ip6" ? six : any([six, four]);
}

/** `tcp port 80`: `low` and `high` are one port, or the ends of a range. */
export function ports(
  protocols: readonly number[],
  direction: Direction,
  [low, high]: readonly [number, number],
  shift: number,
): BpfTest {
  const upper = (at: (bytes: Uint8Array) => number | undefined): BpfTest =>
    byDirection(direction, (side) => ({ bytes }) => {
      const header = at(bytes);
      const port =
        header === undefined ? undefined : load(bytes, header + (side === "src" ? 0 : 2), 2);
      return port === undefined ? undefined : port >= low && port <= high;
    });
  const ip = 14 + shift;
  const carries =
    (offset: number): BpfTest =>
    ({ bytes }) => {
      const protocol = load(bytes, ip + offset, 1);
      return protocol === undefined ? undefined : protocols.includes(protocol);
    };
  return any([
    all([etherType(ETH_P_IPV6, shift), carries(6), upper(() => ip + 40)]),
    all([
      etherType(ETH_P_IP, shift),
      carries(9),
      isFirstFragment(shift),
      upper((bytes) => transportOffset(bytes, shift)),
    ]),
  ]);
}

export const PORT_PROTOCOLS: readonly number[] = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP];

export function isFirstFragment(shift: number): BpfTest {
  return ({ bytes }) => {
    const fragment = load(bytes, 14 + shift + 6, 2);
    return fragment === undefined ? undefined : (fragment & 0x1fff) === 0;
  };
}

/** Where the header behind an IPv4 header stands. */
export function transportOffset(bytes: Uint8Array, shift: number): number | undefined {
  const first = load(bytes, 14 + shift, 1);
  return first === undefined ? undefined : 14 + shift + (first & 15) * 4;
}

/** `host 10.0.0.1`, `net 10.0.0.0/8`, in IPv4, ARP or RARP as `family` says. */
export function ipv4Addresses(
  direction: Direction,
  address: Ipv4,
  mask: number,
  family: "ip" | "arp" | "rarp" | "any",
  shift: number,
): BpfTest {
  const at = (type: number, source: number, destination: number): BpfTest =>
    all([
      etherType(type, shift),
      byDirection(direction, (side) => ({ bytes }) => {
        const found = load(bytes, 14 + shift + (side === "src" ? source : destination), 4);
        return found === undefined ? undefined : ((found ^ address) & mask) === 0;
      }),
    ]);
  const tests = {
    ip: at(ETH_P_IP, 12, 16),
    arp: at(ETH_P_ARP, 14, 24),
    rarp: at(ETH_P_RARP, 14, 24),
  };
  return family === "any" ? any([tests.ip, tests.arp, tests.rarp]) : tests[family];
}

export function ipv6Addresses(
  direction: Direction,
  address: bigint,
  length: number,
  shift: number,
): BpfTest {
  return all([
    etherType(ETH_P_IPV6, shift),
    byDirection(direction, (side) => ({ bytes }) => {
      const start = 14 + shift + (side === "src" ? 8 : 24);
      if (start + 16 > bytes.length) return undefined;
      return (getIpv6(bytes, start) ^ address) >> BigInt(128 - length) === 0n;
    }),
  ]);
}

export function macAddresses(direction: Direction, mac: number): BpfTest {
  return byDirection(direction, (side) => ({ bytes }) => {
    const at = side === "src" ? 6 : 0;
    const high = load(bytes, at, 2);
    const low = load(bytes, at + 2, 4);
    if (high === undefined || low === undefined) return undefined;
    return high * 0x1_0000_0000 + low === mac;
  });
}

function byDirection(direction: Direction, test: (side: "src" | "dst") => BpfTest): BpfTest {
  switch (direction) {
    case "src":
    case "dst":
      return test(direction);
    case "src or dst":
      return any([test("src"), test("dst")]);
    case "src and dst":
      return all([test("src"), test("dst")]);
  }
}

/** A partial dotted address as `net` takes it: `10.1` is 10.1.0.0/16. */
export function partialNet(
  text: string,
): { readonly address: Ipv4; readonly mask: number } | undefined {
  const parts = text.split(".").map(Number);
  if (!/^\d{1,3}(\.\d{1,3}){0,3}$/.test(text) || parts.some((part) => part > 255)) return undefined;
  const value = parts.reduce((sum, part, index) => sum + part * 256 ** (3 - index), 0);
  const bits = parts.length * 8;
  return {
    address: ipv4(value),
    mask: bits === 32 ? 0xffff_ffff : (0xffff_ffff << (32 - bits)) >>> 0,
  };
}

/** The number that a word stands for in a table. */
export function numberIn(
  table: Readonly<Record<string, number>>,
  word: string,
): number | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
