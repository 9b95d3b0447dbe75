import {
  IPCT_DESTROY,
  type ConntrackRef,
  type Tuple,
  isOriginalDirection,
} from "../../core/conntrack.js";
import {
  ACCEPT,
  type Family,
  type HookEntry,
  type HookState,
  NF_IP_PRI_NAT_DST,
  NF_IP_PRI_NAT_SRC,
  type Verdict,
} from "../../core/hooks.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { told } from "../../core/trace.js";
import { ipRouteMeHarder } from "../../inet/ip-output.js";
import { ip6RouteMeHarder } from "../../inet/ipv6/output.js";
import { isIcmp, type TransportHeader } from "../../wire/frame.js";
import { ICMP_REDIRECT } from "../../wire/icmp.js";
import { NDISC_REDIRECT } from "../../wire/icmpv6.js";
import type { IpAddress } from "../../wire/ip.js";
import { type Connection, connectionOf } from "../conntrack/connection.js";
import { conntrack } from "../conntrack/table.js";
import { tellConntrack, tellEvent } from "../conntrack/tell.js";
import { type Direction, ORIGINAL, REPLY, invertTuple } from "../conntrack/tuple.js";
import { describeBinding } from "./describe.js";
import type { NatKind } from "./range.js";
import { NAT_BIT, isNatDecided, natNullBinding } from "./setup.js";
import { translate, translateOuter, translateQuote } from "./translate.js";

/** The hooks that have NAT, and which half of a new connection's packet they may change. */
export const NAT_HOOKS = {
  PREROUTING: "DST",
  OUTPUT: "DST",
  INPUT: "SRC",
  POSTROUTING: "SRC",
} as const;
export type NatHook = keyof typeof NAT_HOOKS;

/** Shows a packet to a nat chain. Whether NAT was decided is seen from the connection, not from the verdict. */
export type NatLookup = (skb: SkBuff, state: HookState) => Verdict;

interface Registered {
  readonly family: Family;
  readonly hook: NatHook;
  readonly priority: number;
  readonly lookup: NatLookup;
}

/** The nat chains of a namespace, by priority; of equals the later one comes first. */
interface NatLookups {
  list: readonly Registered[];
}

const lookupsOf: (ns: NetworkNamespace) => NatLookups = perNamespace(() => ({ list: [] }));

/**
 * Adds a nat chain at one hook: it sees the first packet of each connection until some chain has decided. The first
 * chain of a namespace brings NAT's own entries into all four hooks. Call what is returned to take the chain out again.
 * Mirrors net/netfilter/nf_nat_core.c:nf_nat_register_fn().
 */
export function registerNatLookup(
  ns: NetworkNamespace,
  family: Family,
  hook: NatHook,
  lookup: NatLookup,
  priority: number = NAT_HOOKS[hook] === "DST" ? NF_IP_PRI_NAT_DST : NF_IP_PRI_NAT_SRC,
): () => void {
  const lookups = lookupsOf(ns);
  const added: Registered = { family, hook, priority, lookup };
  const isUsed = (): boolean => lookups.list.some((other) => other.family === family);
  if (!isUsed()) for (const entry of HOOK_ENTRIES) ns.hooks.register(family, entry);
  const at = lookups.list.findIndex((other) => other.priority >= priority);
  lookups.list = at < 0 ? [...lookups.list, added] : lookups.list.toSpliced(at, 0, added);
  return () => {
    if (!lookups.list.includes(added)) return;
    lookups.list = lookups.list.filter((other) => other !== added);
    if (!isUsed()) for (const entry of HOOK_ENTRIES) ns.hooks.unregister(family, entry);
  };
}

const HOOK_ENTRIES: readonly HookEntry[] = [
  { name: "nat", hook: "PREROUTING", priority: NF_IP_PRI_NAT_DST, run: natPreRouting },
  { name: "nat", hook: "OUTPUT", priority: NF_IP_PRI_NAT_DST, run: natOutput },
  {
    name: "nat",
    hook: "INPUT",
    priority: NF_IP_PRI_NAT_SRC,
    run: (skb, state) => nat(skb, state, "INPUT"),
  },
  {
    name: "nat",
    hook: "POSTROUTING",
    priority: NF_IP_PRI_NAT_SRC,
    run: (skb, state) => nat(skb, state, "POSTROUTING"),
  },
];

/** A new destination needs a new route. Mirrors nf_nat_ipv4_pre_routing() and nf_nat_ipv6_in(). */
function natPreRouting(skb: SkBuff, state: HookState): Verdict {
  const before = destinationOf(skb);
  const verdict = nat(skb, state, "PREROUTING");
  if (verdict.kind === "accept" && destinationOf(skb) !== before) skb.route = undefined;
  return verdict;
}

/** A local packet was routed before its destination changed. Mirrors nf_nat_ipv4_local_fn() and nf_nat_ipv6_local_fn(). */
function natOutput(skb: SkBuff, state: HookState): Verdict {
  const verdict = nat(skb, state, "OUTPUT");
  const entry = connectionOf(skb);
  if (verdict.kind !== "accept" || entry === undefined || skb.ct === undefined) return verdict;
  const direction = directionOf(skb.ct);
  if (entry.tuple(direction).destination === entry.tuple(other(direction)).source) return verdict;
  const errno = state.family === "ipv6" ? ip6RouteMeHarder(skb) : ipRouteMeHarder(skb);
  return errno === undefined
    ? ACCEPT
    : { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow", errno };
}

function destinationOf({ frame: { network } }: SkBuff): IpAddress | undefined {
  return network === undefined || network.kind === "arp" ? undefined : network.destination;
}

const DROP: Verdict = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };

/** Decides NAT for new connections and translates every packet. Mirrors nf_nat_inet_fn(). */
function nat(skb: SkBuff, state: HookState, hook: NatHook): Verdict {
  const { ct } = skb;
  const entry = connectionOf(skb);
  if (ct === undefined || entry === undefined) return ACCEPT;
  const kind = NAT_HOOKS[hook];
  const isRelated = ct.info === "RELATED" || ct.info === "RELATED_REPLY";
  const { transport } = skb.frame;
  if (isRelated && transport !== undefined && isIcmp(transport))
    return translateError(skb, transport, entry, ct, kind);
  if ((isRelated || ct.info === "NEW") && !isNatDecided(entry, kind)) {
    const verdict = decide(skb, state, hook, entry);
    if (verdict.kind !== "accept") return verdict;
  } else if (leavesElsewhere(entry, ct, state)) {
    conntrack(state.ns).kill(entry);
    tellConntrack(
      skb,
      "destroyed",
      entry,
      "masqueraded for another device than this packet leaves by",
    );
    tellEvent(skb, entry, IPCT_DESTROY);
    return DROP;
  }
  return translatePacket(skb, entry, directionOf(ct), kind);
}

/** Asks the chains in turn; if none decides, addresses stay. */
function decide(skb: SkBuff, state: HookState, hook: NatHook, entry: Connection): Verdict {
  const kind = NAT_HOOKS[hook];
  const { reply } = entry;
  for (const registered of lookupsOf(state.ns).list) {
    if (registered.hook !== hook || registered.family !== state.family) continue;
    const verdict = registered.lookup(skb, state);
    if (verdict.kind !== "accept") return verdict;
    if (isNatDecided(entry, kind)) break;
  }
  natNullBinding(state.ns, entry, kind);
  if (entry.reply !== reply) tellBinding(skb, entry, reply, kind);
  return ACCEPT;
}

function tellBinding(skb: SkBuff, entry: Connection, before: Tuple, kind: NatKind): void {
  if (skb.ns.sim.trace === undefined) return;
  tellConntrack(skb, "nat", entry, describeBinding(before, entry.reply, kind));
}

/** Mirrors nf_nat_oif_changed(). */
function leavesElsewhere(entry: Connection, ct: ConntrackRef, state: HookState): boolean {
  if (state.hook !== "POSTROUTING" || entry.masqueradeIfindex === 0) return false;
  return isOriginalDirection(ct.info) && entry.masqueradeIfindex !== state.out?.ifindex;
}

/** Whether packets of this direction are changed by this kind of NAT: answers by the other one. */
function isTranslated(entry: Connection, direction: Direction, kind: NatKind): boolean {
  const decided = direction === ORIGINAL ? kind : OTHER_KIND[kind];
  return (entry.status & NAT_BIT[decided]) !== 0;
}

const OTHER_KIND: Readonly<Record<NatKind, NatKind>> = { SRC: "DST", DST: "SRC" };

/** Makes the packet look like the inverse of the other direction. Mirrors nf_nat_packet(). */
function translatePacket(
  skb: SkBuff,
  entry: Connection,
  direction: Direction,
  kind: NatKind,
): Verdict {
  if (!isTranslated(entry, direction, kind)) return ACCEPT;
  const target = invertTuple(entry.tuple(other(direction)));
  if (target === undefined) return ACCEPT;
  const frame = translate(skb.frame, target, kind, entry.tuple(direction));
  if (frame !== undefined) {
    skb.frame = frame;
    return ACCEPT;
  }
  const what = `NAT of the ports of IP protocol ${target.protocol}`;
  skb.ns.sim.trace?.(told(skb, { kind: "unknown", what, place: undefined }));
  return ACCEPT;
}

/**
 * An ICMP error about the connection: the packet it quotes is translated back, and the error comes from where an
 * answer would come from. Mirrors net/netfilter/nf_nat_proto.c:nf_nat_icmp_reply_translation()
 * and nf_nat_icmpv6_reply_translation().
 */
function translateError(
  skb: SkBuff,
  { kind: transport, type, checksumError }: IcmpMessage,
  entry: Connection,
  ct: ConntrackRef,
  kind: NatKind,
): Verdict {
  if (checksumError !== undefined) return DROP;
  if (type === (transport === "icmp" ? ICMP_REDIRECT : NDISC_REDIRECT)) {
    const undecided = !isNatDecided(entry, "SRC") || !isNatDecided(entry, "DST");
    if (undecided || (entry.status & (NAT_BIT.SRC | NAT_BIT.DST)) !== 0) return DROP;
  }
  const direction = directionOf(ct);
  if (!isTranslated(entry, direction, kind)) return ACCEPT;
  const seen = entry.tuple(other(direction));
  const target = invertTuple(seen);
  if (target === undefined) return DROP;
  const quoted = translateQuote(skb.frame, seen, OTHER_KIND[kind]);
  skb.frame = translateOuter(quoted, kind === "SRC" ? target.source : target.destination, kind);
  return ACCEPT;
}

type IcmpMessage = Extract<TransportHeader, { readonly kind: "icmp" | "icmpv6" }>;

function directionOf(ct: ConntrackRef): Direction {
  return isOriginalDirection(ct.info) ? ORIGINAL : REPLY;
}

function other(direction: Direction): Direction {
  return direction === ORIGINAL ? REPLY : ORIGINAL;
}
