import type { HookState } from "../../core/hooks.js";
import type { Frame } from "../../wire/frame.js";
import type { IpAddress } from "../../wire/ip.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import { IPPROTO_AH } from "../../wire/ipv6-extension.js";
import type { Ipv6Header } from "../../wire/ipv6.js";
import { isExtensionHeader } from "../ipv6-headers.js";
import { andAddress, isZeroMask } from "./addresses.js";
import type { AddressTest, InterfaceTest, RuleSpec } from "./rule.js";
import type { Range } from "./values.js";

/** What rules are told apart by within one dimension. */
export type Key = number | bigint | string;

/** Something that a rule asks for and a packet has or has not. */
export interface Dimension {
  /** The keys one of which a packet must have to match the rule; undefined when the rule does not say. */
  keysOf(spec: RuleSpec): readonly Key[] | undefined;
  /** The packet's key; undefined when it has none, and so fails every rule that asks for one. */
  keyOf(frame: Frame, state: HookState): Key | undefined;
}

/** With more masks than this in a chain, rules with the rarer ones are found otherwise. */
const MAX_MASKS = 8;
/** A rule stands under at most so many ports. */
const MAX_PORTS = 16;

/** The dimensions that can tell a chain's rules apart. */
export function dimensionsOf(specs: readonly RuleSpec[]): readonly Dimension[] {
  return [
    ...masksOf(specs, "destination").map((mask) => address("destination", mask)),
    ...masksOf(specs, "source").map((mask) => address("source", mask)),
    destinationPort,
    inDevice,
    outDevice,
    protocol,
  ];
}

/**
 * Whether the headers are there that tests ask for. A TCP or UDP header that is cut short or missing has matches drop the
 * packet; so have IPv6's extension headers when they are cut short, and one for authentication hides what follows it.
 */
export function isWhole({ network, transport }: Frame): boolean {
  if (network === undefined || network.kind === "arp") return false;
  if (network.kind === "ipv6" && !hasPlainHeaders(network)) return false;
  if (network.protocol === IPPROTO_TCP) return transport?.kind === "tcp";
  return network.protocol !== IPPROTO_UDP || transport?.kind === "udp";
}

function hasPlainHeaders({ protocol: upper, extensions }: Ipv6Header): boolean {
  return !isExtensionHeader(upper) && extensions.every(({ type }) => type !== IPPROTO_AH);
}

type Side = "source" | "destination";

/** The masks that most rules have on this side. */
function masksOf(specs: readonly RuleSpec[], side: Side): readonly IpAddress[] {
  const counts = new Map<IpAddress, number>();
  for (const spec of specs) {
    const test = spec[side];
    if (test !== undefined && isSelective(test))
      counts.set(test.mask, (counts.get(test.mask) ?? 0) + 1);
  }
  const common = [...counts].toSorted(([, a], [, b]) => b - a);
  return common.slice(0, MAX_MASKS).map(([mask]) => mask);
}

function isSelective({ mask, invert }: AddressTest): boolean {
  return !invert && !isZeroMask(mask);
}

function address(side: Side, mask: IpAddress): Dimension {
  return {
    keysOf(spec) {
      const test = spec[side];
      return test !== undefined && isSelective(test) && test.mask === mask
        ? [test.address]
        : undefined;
    },
    keyOf({ network }) {
      if (network?.kind === "ipv4")
        return typeof mask === "number" ? andAddress(network[side], mask) : undefined;
      return network?.kind === "ipv6" && typeof mask === "bigint"
        ? andAddress(network[side], mask)
        : undefined;
    },
  };
}

/** Protocol and port in one number. */
function portKey(number: number, port: number): number {
  return number * 0x1_0000 + port;
}

const destinationPort: Dimension = {
  keysOf(spec) {
    const { protocol: test } = spec;
    if (test === undefined || test.invert) return undefined;
    if (test.number !== IPPROTO_TCP && test.number !== IPPROTO_UDP) return undefined;
    const ports = portsOf(spec);
    return ports?.map((port) => portKey(test.number, port));
  },
  keyOf({ network, transport }) {
    if (network === undefined || network.kind === "arp") return undefined;
    if (transport?.kind !== "tcp" && transport?.kind !== "udp") return undefined;
    return portKey(network.protocol, transport.destinationPort);
  },
};

/** The ports that a rule's first test of ports allows. What stands before it must neither remember nor change anything. */
function portsOf({ matches }: RuleSpec): readonly number[] | undefined {
  for (const match of matches) {
    if (match.destinationPorts !== undefined) return listed(match.destinationPorts);
    if (!match.isPure) return undefined;
  }
  return undefined;
}

/** Every port of some ranges; undefined when there are too many. */
function listed(ranges: readonly Range[]): readonly number[] | undefined {
  const ports: number[] = [];
  for (const { low, high } of ranges) {
    if (ports.length + high - low >= MAX_PORTS) return undefined;
    for (let port = low; port <= high; port++) ports.push(port);
  }
  return ports;
}

const inDevice: Dimension = {
  keysOf: (spec) => exactName(spec.in),
  keyOf: (_, state) => state.in?.name ?? "",
};

const outDevice: Dimension = {
  keysOf: (spec) => exactName(spec.out),
  keyOf: (_, state) => state.out?.name ?? "",
};

function exactName(test: InterfaceTest | undefined): readonly Key[] | undefined {
  return test === undefined || test.prefix || test.invert ? undefined : [test.name];
}

const protocol: Dimension = {
  keysOf: ({ protocol: test }) => (test === undefined || test.invert ? undefined : [test.number]),
  keyOf: ({ network }) =>
    network === undefined || network.kind === "arp" ? undefined : network.protocol,
};
