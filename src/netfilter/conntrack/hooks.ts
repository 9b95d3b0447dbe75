import {
  type CtInfo,
  IPCT_DESTROY,
  IPCT_NEW,
  IPCT_RELATED,
  IPCT_REPLY,
  IPS_EXPECTED,
  IPS_SEEN_REPLY,
  isOriginalDirection,
  ABOUT_UNTRACKED,
  UNTRACKED,
} from "../../core/conntrack.js";
import {
  ACCEPT,
  type HookEntry,
  type HookState,
  NF_IP_PRI_CONNTRACK,
  NF_IP_PRI_CONNTRACK_CONFIRM,
  NF_IP_PRI_CONNTRACK_DEFRAG,
  type Verdict,
} from "../../core/hooks.js";
import {
  type NetworkNamespace,
  type PernetOperations,
  perNamespace,
} from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { told } from "../../core/trace.js";
import { ipDefrag } from "../../inet/ip-defrag.js";
import { ip6Defrag } from "../../inet/ipv6/defrag.js";
import { type IpHeader, isIcmp } from "../../wire/frame.js";
import { isFragment } from "../../wire/ipv4.js";
import { fragmentExtension, type Ipv6Header } from "../../wire/ipv6.js";
import {
  type Connection,
  DEFAULT_ZONE,
  type TupleHash,
  type Zone,
  connectionOf,
  templateOf,
  zoneOfTemplate,
} from "./connection.js";
import { adopt, expectedBecause, helpAndAdjust } from "./help.js";
import type { SettledIcmp } from "./icmp-error.js";
import { judgeIcmp } from "./icmp.js";
import { judgeIcmpv6 } from "./icmpv6.js";
import { conntrackProtocol } from "./protocols.js";
import { defineConntrackSysctls } from "./settings.js";
import { type ConntrackTable, conntrack } from "./table.js";
import { tellConntrack, tellEvent } from "./tell.js";
import { REPLY, invertTuple, sameTuple, tupleOf } from "./tuple.js";

/** Gives every namespace its sysctls. Hooks come with the first rule that needs them. */
export const conntrackPernet: PernetOperations = {
  name: "nf_conntrack",
  init(ns) {
    const table = conntrack(ns);
    defineConntrackSysctls(ns, table.settings, () => table.count);
  },
};

/** A rule of a family needs connections: the first one turns its tracking on. Mirrors nf_ct_netns_get(). */
export function requireConntrack(ns: NetworkNamespace, family: IpFamily = "ipv4"): void {
  const users = usersOf(ns).tracking;
  if (users[family]++ > 0) return;
  requireDefrag(ns, family);
  for (const entry of CONNTRACK_HOOKS) ns.hooks.register(family, entry);
}

/** The rule is gone: the last one turns tracking off; entries stay until they expire. Mirrors nf_ct_netns_put(). */
export function releaseConntrack(ns: NetworkNamespace, family: IpFamily = "ipv4"): void {
  const users = usersOf(ns).tracking;
  if (users[family] === 0 || --users[family] > 0) return;
  for (const entry of CONNTRACK_HOOKS) ns.hooks.unregister(family, entry);
  releaseDefrag(ns, family);
}

/** A rule of a family needs whole packets. Mirrors nf_defrag_ipv4_enable() and nf_defrag_ipv6_enable(). */
export function requireDefrag(ns: NetworkNamespace, family: IpFamily): void {
  const users = usersOf(ns).defrag;
  if (users[family]++ === 0) for (const entry of DEFRAG_HOOKS) ns.hooks.register(family, entry);
}

/** The rule is gone. Mirrors nf_defrag_ipv4_disable() and nf_defrag_ipv6_disable(). */
export function releaseDefrag(ns: NetworkNamespace, family: IpFamily): void {
  const users = usersOf(ns).defrag;
  if (users[family] === 0 || --users[family] > 0) return;
  for (const entry of DEFRAG_HOOKS) ns.hooks.unregister(family, entry);
}

/** The families whose packets are tracked, each for itself. */
type IpFamily = "ipv4" | "ipv6";

interface Users {
  readonly tracking: Record<IpFamily, number>;
  /** Tracking is one of them. */
  readonly defrag: Record<IpFamily, number>;
}

const usersOf: (ns: NetworkNamespace) => Users = perNamespace(() => ({
  tracking: { ipv4: 0, ipv6: 0 },
  defrag: { ipv4: 0, ipv6: 0 },
}));

const DEFRAG_HOOKS: readonly HookEntry[] = [
  { name: "defrag", hook: "PREROUTING", priority: NF_IP_PRI_CONNTRACK_DEFRAG, run: defragment },
  { name: "defrag", hook: "OUTPUT", priority: NF_IP_PRI_CONNTRACK_DEFRAG, run: defragment },
];

const CONNTRACK_HOOKS: readonly HookEntry[] = [
  { name: "conntrack", hook: "PREROUTING", priority: NF_IP_PRI_CONNTRACK, run: conntrackIn },
  { name: "conntrack", hook: "OUTPUT", priority: NF_IP_PRI_CONNTRACK, run: conntrackIn },
  {
    name: "conntrack confirm",
    hook: "INPUT",
    priority: NF_IP_PRI_CONNTRACK_CONFIRM,
    run: conntrackConfirm,
  },
  {
    name: "conntrack confirm",
    hook: "POSTROUTING",
    priority: NF_IP_PRI_CONNTRACK_CONFIRM,
    run: conntrackConfirm,
  },
];

/** Everything behind it sees whole packets. Mirrors net/ipv4/netfilter/nf_defrag_ipv4.c:ipv4_conntrack_defrag(). */
function defragment(skb: SkBuff, state: HookState): Verdict {
  const { network } = skb.frame;
  if (network?.kind === "ipv6") return defragment6(skb, network, state);
  if (network?.kind !== "ipv4" || !isFragment(network)) return ACCEPT;
  if (skb.ct !== undefined && templateOf(skb) === undefined) return ACCEPT;
  const whole = ipDefrag(skb, state.hook === "OUTPUT" ? "conntrack-out" : "conntrack-in");
  return whole === undefined ? { kind: "stolen", by: "defrag" } : ACCEPT;
}

/** A packet in one piece loses its fragment header here as well. Mirrors nf_defrag_ipv6_hooks.c:ipv6_defrag(). */
function defragment6(skb: SkBuff, network: Ipv6Header, state: HookState): Verdict {
  if (network.extensions.length === 0 || fragmentExtension(network) === undefined) return ACCEPT;
  if (skb.ct !== undefined && templateOf(skb) === undefined) return ACCEPT;
  const whole = ip6Defrag(skb, state.hook === "OUTPUT" ? "conntrack-out" : "conntrack-in");
  return whole === undefined ? { kind: "stolen", by: "defrag" } : ACCEPT;
}

/** Finds or makes the packet's connection. Mirrors net/netfilter/nf_conntrack_core.c:nf_conntrack_in(). */
export function conntrackIn(skb: SkBuff, state: HookState): Verdict {
  const template = templateOf(skb);
  // Seen before (a packet that came round by lo), or not to be tracked.
  const isAboutUntracked = skb.ct === ABOUT_UNTRACKED;
  if (skb.ct !== undefined && template === undefined && !isAboutUntracked) {
    if (skb.ct.info === "UNTRACKED") tellConntrack(skb, "untracked", undefined, "NOTRACK");
    return ACCEPT;
  }
  if (!isAboutUntracked) skb.ct = undefined;
  const { network, transport } = skb.frame;
  if (network === undefined || network.kind === "arp") return ACCEPT;
  const table = conntrack(state.ns);
  const zone = template === undefined ? DEFAULT_ZONE : zoneOfTemplate(template, skb);
  if (isLaterFragment(network)) {
    table.statistics.invalid++;
    return refuse(skb, "a later fragment");
  }
  if (transport !== undefined && isIcmp(transport)) {
    const verdict =
      transport.kind === "icmp"
        ? judgeIcmp(skb, transport, state.hook, table, zone)
        : judgeIcmpv6(skb, transport, state.hook, table, zone);
    if (verdict.kind === "invalid") {
      table.statistics.error++;
      return refuse(skb, verdict.why);
    }
    if (verdict.kind !== "query") return settle(skb, verdict);
  }
  return track(skb, state, table, zone, template);
}

function isLaterFragment(network: IpHeader): boolean {
  if (network.kind === "ipv4") return network.fragmentOffset !== 0;
  return (fragmentExtension(network)?.fragmentOffset ?? 0) !== 0;
}

/** An ICMP message that has its relation without a tuple of its own. */
function settle(skb: SkBuff, verdict: SettledIcmp): Verdict {
  if (verdict.kind === "untracked") {
    skb.ct = UNTRACKED;
    tellConntrack(skb, "untracked", undefined, "what neighbours say to each other is not tracked");
    return ACCEPT;
  }
  skb.ct = verdict.ct;
  tellConntrack(skb, "found", verdict.ct.entry, () => `an ICMP error about it: ${verdict.ct.info}`);
  return ACCEPT;
}

function refuse(skb: SkBuff, why: string): Verdict {
  tellConntrack(skb, "invalid", undefined, why);
  return ACCEPT;
}

function notModelled(skb: SkBuff, what: string): Verdict {
  skb.ns.sim.trace?.(told(skb, { kind: "unknown", what, place: undefined }));
  return ACCEPT;
}

/** Resolves the tuple and asks the protocol. Mirrors resolve_normal_ct() and nf_conntrack_handle_packet(). */
function track(
  skb: SkBuff,
  state: HookState,
  table: ConntrackTable,
  zone: Zone,
  template: Connection | undefined,
): Verdict {
  const tuple = tupleOf(skb.frame);
  if (tuple === undefined) {
    table.statistics.invalid++;
    return refuse(skb, "short packet");
  }
  const protocol = conntrackProtocol(tuple.protocol);
  for (;;) {
    let found = table.find(tuple, zone);
    const isNew = found === undefined;
    if (found === undefined) {
      const reply = invertTuple(tuple);
      if (reply === undefined) {
        table.statistics.invalid++;
        return refuse(skb, `nothing answers ICMP type ${tuple.icmpType}`);
      }
      const made = table.create(tuple, reply, zone);
      if (made === undefined) return tableFull(skb, table);
      if (template?.ext !== undefined || table.expectations.count > 0)
        adopt(table, made, tuple, template);
      found = made.originalHash;
    }
    const entry = found.connection;
    if (entry.sctp?.isListed === true)
      return notModelled(skb, "an association that a list told without its tags");
    const info = infoFor(found);
    const judgement = protocol.track(entry, {
      table,
      skb,
      hook: state.hook,
      direction: found.direction,
      info,
    });
    if (judgement.kind === "again") {
      tellConntrack(skb, "destroyed", entry, "its addresses and ports are used again");
      tellEvent(skb, entry, IPCT_DESTROY);
      continue;
    }
    if (judgement.kind === "invalid") {
      table.statistics.invalid++;
      return refuse(skb, judgement.why);
    }
    attach(skb, { entry, info }, isNew);
    return ACCEPT;
  }
}

function attach(
  skb: SkBuff,
  ct: { readonly entry: Connection; readonly info: CtInfo },
  isNew: boolean,
): void {
  const { entry, info } = ct;
  skb.ct = ct;
  if (entry.dying && entry.confirmed) tellEvent(skb, entry, IPCT_DESTROY);
  if (info === "ESTABLISHED_REPLY" && (entry.status & IPS_SEEN_REPLY) === 0) {
    entry.status |= IPS_SEEN_REPLY;
    entry.events |= IPCT_REPLY;
  }
  if (isNew) tellNew(skb, entry);
  else tellConntrack(skb, "found", entry, DIRECTIONS[info]);
  if (entry.dying) tellConntrack(skb, "destroyed", entry, "reset before any answer");
}

/** Says why a connection is new; of one that was expected, by whom. */
function tellNew(skb: SkBuff, entry: Connection): void {
  if (skb.ns.sim.trace === undefined) return;
  const { master } = entry;
  const why = master === undefined ? "no entry has this tuple" : expectedBecause(master);
  tellConntrack(skb, "new", entry, why);
}

/** How a packet of each relation goes along its connection. */
const DIRECTIONS: Readonly<Record<CtInfo, string>> = {
  NEW: "NEW, original direction",
  ESTABLISHED: "ESTABLISHED, original direction",
  ESTABLISHED_REPLY: "ESTABLISHED, reply direction",
  RELATED: "RELATED, original direction",
  RELATED_REPLY: "RELATED, reply direction",
  UNTRACKED: "UNTRACKED, original direction",
};

function infoFor(found: TupleHash): CtInfo {
  if (found.direction === REPLY) return "ESTABLISHED_REPLY";
  const { status } = found.connection;
  if ((status & IPS_SEEN_REPLY) !== 0) return "ESTABLISHED";
  return (status & IPS_EXPECTED) !== 0 ? "RELATED" : "NEW";
}

function tableFull(skb: SkBuff, table: ConntrackTable): Verdict {
  table.statistics.drop++;
  tellConntrack(skb, "invalid", undefined, "nf_conntrack: table full, dropping packet");
  return { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };
}

/** The packet got through everything: its new connection enters the table. Mirrors nf_confirm(). */
export function conntrackConfirm(skb: SkBuff, state: HookState): Verdict {
  const entry = connectionOf(skb);
  if (entry === undefined || skb.ct === undefined) return ACCEPT;
  const table = conntrack(state.ns);
  if (entry.ext !== undefined) {
    const verdict = helpAndAdjust(skb, state, entry, skb.ct.info, table);
    if (verdict.kind !== "accept") return verdict;
  }
  const { events } = entry;
  if (entry.confirmed) {
    table.reportChanges(entry);
    if (!entry.dying) tellEvent(skb, entry, events);
    return ACCEPT;
  }
  // An error or a reset that carries the connection it is about does not confirm that.
  if (!isOriginalDirection(skb.ct.info)) return ACCEPT;
  const result = table.confirm(entry);
  if (result.kind === "confirmed") {
    tellConfirmed(skb, entry);
    tellEvent(skb, entry, events | (entry.master === undefined ? IPCT_NEW : IPCT_RELATED));
    return ACCEPT;
  }
  if (result.kind === "clash" && resolveClash(skb, entry, result.with, table)) return ACCEPT;
  if (entry.ext?.help !== undefined) table.expectations.removeOf(entry);
  table.statistics.drop++;
  table.statistics.insert_failed++;
  tellConntrack(skb, "invalid", entry, "another connection has the same tuple (insert_failed)");
  return { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };
}

function tellConfirmed(skb: SkBuff, entry: Connection): void {
  if (skb.ns.sim.trace === undefined) return;
  tellConntrack(skb, "confirmed", entry, `for ${entry.timeout / 1_000_000} s`);
}

/** Two packets of one flow were new at once: the later one joins, or may be answered for a second. Mirrors nf_ct_resolve_clash(). */
function resolveClash(
  skb: SkBuff,
  entry: Connection,
  clash: TupleHash,
  table: ConntrackTable,
): boolean {
  if (!conntrackProtocol(entry.original.protocol).allowClash) return false;
  const winner = clash.connection;
  const info = joinedInfo(entry, winner);
  if (info !== undefined) {
    skb.ct = { entry: winner, info };
    tellConntrack(skb, "found", winner, "another packet of this flow was faster");
  } else if (table.insertReplyOnly(entry)) {
    tellConntrack(
      skb,
      "confirmed",
      entry,
      "for 1 s and answers only: another packet of this flow was faster",
    );
  } else {
    return false;
  }
  table.statistics.clash_resolve++;
  return true;
}

/** How the packet of `entry` stands in `winner`, if both are one flow, maybe seen from its other end. Mirrors nf_ct_match(). */
function joinedInfo(entry: Connection, winner: Connection): CtInfo | undefined {
  if (sameTuple(entry.original, winner.original) && sameTuple(entry.reply, winner.reply))
    return "NEW";
  if (sameTuple(entry.original, winner.reply) && sameTuple(entry.reply, winner.original))
    return "ESTABLISHED_REPLY";
  return undefined;
}
