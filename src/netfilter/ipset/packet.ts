import type { HookState } from "../../core/hooks.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import {
  type Frame,
  type IpHeader,
  ipLength,
  isIcmp,
  type TransportHeader,
} from "../../wire/frame.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, type Ipv4Header } from "../../wire/ipv4.js";
import { IPPROTO_ICMPV6, type Ipv6Header } from "../../wire/ipv6.js";
import { upperHeaderOf } from "../ipv6-headers.js";
import type { IpSet } from "./create.js";
import { type Element, NO_ELEMENT, NO_ELEMENT6 } from "./element.js";
import type { CounterTest, GivenExtensions, LookupOptions, SkbInfo } from "./extensions.js";
import { ListSet } from "./list-set.js";
import { type IpSets, ipsets } from "./sets.js";
import type { Found } from "./store.js";
import { hasNets } from "./types.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";

export type Direction = "src" | "dst";

/** A set that a rule names, and the side of the packet that each of its dimensions takes. */
export interface PacketUse {
  readonly name: string;
  readonly directions: readonly Direction[];
}

/** How a rule looks into a set. Mirrors the flags of struct ip_set_adt_opt. */
export interface PacketTest {
  readonly returnNomatch?: boolean;
  readonly skipCounters?: boolean;
  readonly skipSubcounters?: boolean;
  readonly packets?: CounterTest | undefined;
  readonly bytes?: CounterTest | undefined;
  readonly onFound?: (info: SkbInfo) => void;
}

/** What every step of one packet's use of a set needs. */
interface Visit {
  readonly sets: IpSets;
  readonly skb: SkBuff;
  readonly state: HookState;
  readonly directions: readonly Direction[];
}

const WITH_PORTS: readonly number[] = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_UDPLITE];
/** What has to be there of a header before its ports are read, in bytes. */
const HEADER_SIZES: ReadonlyMap<number, number> = new Map([
  [IPPROTO_TCP, 20],
  [IPPROTO_UDP, 8],
  [IPPROTO_SCTP, 12],
  [IPPROTO_UDPLITE, 8],
]);

function visitOf(
  { name, directions }: PacketUse,
  skb: SkBuff,
  state: HookState,
): { readonly set: IpSet | undefined; readonly visit: Visit } {
  const sets = ipsets(state.ns);
  return { set: sets.get(name), visit: { sets, skb, state, directions } };
}

/** Whether a packet is in a set. Mirrors net/netfilter/ipset/ip_set_core.c:ip_set_test(). */
export function testPacket(
  use: PacketUse,
  test: PacketTest,
  skb: SkBuff,
  state: HookState,
): boolean {
  return resultOf(use, test, skb, state) === "yes";
}

/** As `testPacket`; tells a set that says no by a `nomatch` from one that says nothing. */
export function resultOf(use: PacketUse, test: PacketTest, skb: SkBuff, state: HookState): Found {
  const { set, visit } = visitOf(use, skb, state);
  if (set === undefined) return "no";
  return lookup(set, visit, test, {
    length: ipLength(skb.frame),
    updateCounters: test.skipCounters !== true,
    updateSubcounters: test.skipSubcounters !== true,
    packets: test.packets,
    bytes: test.bytes,
    onFound: test.onFound,
  });
}

function lookup(set: IpSet, visit: Visit, test: PacketTest, options: LookupOptions): Found {
  if (!fits(set, visit)) return "no";
  const now = visit.state.ns.sim.queue.now;
  const { store } = set;
  if (store instanceof ListSet) {
    // Members are asked without the counter tests, which are the list's own.
    const updateCounters = options.updateCounters && options.updateSubcounters;
    const inner = { ...options, updateCounters, packets: undefined, bytes: undefined };
    const found = store.find(
      (slot) => {
        const member = visit.sets.at(slot)?.set;
        return member !== undefined && lookup(member, visit, test, inner) === "yes";
      },
      options,
      now,
    );
    return found ? "yes" : "no";
  }
  const element = packetElement(set, visit);
  const found = element === undefined ? "no" : store.lookup(element, options, now);
  if (test.returnNomatch !== true || !hasNets(set.type) || found === "no") return found;
  return found === "nomatch" ? "yes" : "nomatch";
}

/** Enough directions for the dimensions, and the family. */
function fits({ type, family }: IpSet, { directions, state }: Visit): boolean {
  if (directions.length < type.dimensions.length) return false;
  return family === "unspec" || (family === "inet6") === (state.family === "ipv6");
}

/** Adds what the packet carries. Mirrors ip_set_add(); a list gives it to its first member that takes it. */
export function addPacket(
  use: PacketUse,
  options: { readonly exist: boolean; readonly timeout: number | undefined },
  skb: SkBuff,
  state: HookState,
): boolean {
  const given: GivenExtensions = {
    timeout: options.timeout,
    packets: 1n,
    bytes: BigInt(ipLength(skb.frame)),
  };
  return change(use, skb, state, (store, element, now) =>
    store.addPacket(element, { exist: options.exist, given }, now),
  );
}

/** Mirrors ip_set_del(). */
export function deletePacket(use: PacketUse, skb: SkBuff, state: HookState): boolean {
  return change(use, skb, state, (store, element, now) => store.deletePacket(element, now));
}

type Change = (
  store: Exclude<IpSet["store"], ListSet>,
  element: Element,
  now: NetworkNamespace["sim"]["queue"]["now"],
) => boolean;

function change(use: PacketUse, skb: SkBuff, state: HookState, act: Change): boolean {
  const { set, visit } = visitOf(use, skb, state);
  return set !== undefined && changeSet(set, visit, act);
}

function changeSet(set: IpSet, visit: Visit, act: Change): boolean {
  if (!fits(set, visit)) return false;
  const now = visit.state.ns.sim.queue.now;
  const { store } = set;
  if (store instanceof ListSet) {
    for (const { slot } of store.members(now)) {
      const member = visit.sets.at(slot)?.set;
      if (member !== undefined && changeSet(member, visit, act)) return true;
    }
    return false;
  }
  const element = packetElement(set, visit);
  return element !== undefined && act(store, element, now);
}

/** What a set's dimensions take of a packet; undefined when it lacks one of them. Mirrors each type's *_kadt(). */
function packetElement({ type }: IpSet, { skb, state, directions }: Visit): Element | undefined {
  const header = skb.frame.network;
  if (header === undefined || header.kind === "arp") return undefined;
  const element: { -readonly [K in keyof Element]: Element[K] } = {
    ...(header.kind === "ipv4" ? NO_ELEMENT : NO_ELEMENT6),
  };
  for (const [index, dimension] of type.dimensions.entries()) {
    const source = directions[index] === "src";
    switch (dimension) {
      case "ip":
      case "net": {
        const address = source ? header.source : header.destination;
        if (index === 0) element.ip = address;
        else element.ip2 = address;
        break;
      }
      case "port": {
        const found = portPart(skb.frame, header, source);
        if (found === undefined) return undefined;
        element.proto = found.protocol;
        element.port = found.port;
        break;
      }
      case "mac": {
        // Packets of this machine, and those on loopback, have no Ethernet header.
        if (skb.inDev === undefined || skb.inDev.isLoopback) return undefined;
        const { link } = skb.frame;
        element.mac = source ? link.source : link.destination;
        if (element.mac === 0) return undefined;
        break;
      }
      case "mark":
        element.mark = skb.mark;
        break;
      case "iface": {
        const dev = source ? state.in : state.out;
        if (dev === undefined) return undefined;
        element.iface = dev.name;
        break;
      }
      case "set":
        break;
    }
  }
  return element;
}

interface PortPart {
  readonly protocol: number;
  readonly port: number;
}

function portPart(frame: Frame, header: IpHeader, source: boolean): PortPart | undefined {
  if (header.kind === "ipv6") return portPart6(frame, header, source);
  const port = packetPort(frame, header, source);
  return port === undefined ? undefined : { protocol: header.protocol, port };
}

/** The same behind extension headers; nothing of later fragments. Mirrors ip_set_get_ip6_port(). */
function portPart6(frame: Frame, header: Ipv6Header, source: boolean): PortPart | undefined {
  const upper = upperHeaderOf(frame, header, false);
  if (upper === undefined || upper.fragmentOffset > 0) return undefined;
  const { protocol } = upper;
  const port = portIn(frame.transport, upper.payload, protocol, source);
  return port === undefined ? undefined : { protocol, port };
}

/** A port, `type·256+code` of ICMP, 0 of other protocols; undefined where it cannot be told. Mirrors ip_set_get_ip4_port(). */
function packetPort(frame: Frame, header: Ipv4Header, source: boolean): number | undefined {
  if (header.fragmentOffset > 0) return WITH_PORTS.includes(header.protocol) ? undefined : 0;
  return portIn(frame.transport, frame.payload, header.protocol, source);
}

function portIn(
  transport: TransportHeader | undefined,
  payload: Uint8Array,
  protocol: number,
  source: boolean,
): number | undefined {
  if (transport !== undefined && isIcmp(transport)) return transport.type * 256 + transport.code;
  if (transport !== undefined) return source ? transport.sourcePort : transport.destinationPort;
  const word = (at: number): number => (payload[at] ?? 0) * 256 + (payload[at + 1] ?? 0);
  if (protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6)
    return payload.length < 8 ? undefined : word(0);
  const size = HEADER_SIZES.get(protocol);
  if (size === undefined) return 0;
  return payload.length < size ? undefined : word(source ? 0 : 2);
}
