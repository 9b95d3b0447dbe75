import { ACCEPT, type HookState, type Verdict } from "../../core/hooks.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { addressesOf, onAddressRemoved } from "../../inet/addresses.js";
import { RT_SCOPE_UNIVERSE } from "../../inet/fib-types.js";
import { selectSource } from "../../inet/source-address.js";
import {
  IPV4_ANY,
  IPV4_LOOPBACK,
  type Ipv4,
  type Ipv4Prefix,
  mapIpv4Prefix,
} from "../../wire/ip.js";
import { connectionOf } from "../conntrack/connection.js";
import { conntrack } from "../conntrack/table.js";
import { NAT_HOOKS } from "./hooks.js";
import type { NatKind, NatRange } from "./range.js";
import { natSetupInfo } from "./setup.js";

const DROP: Verdict = { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };

/** `-j DNAT`. Mirrors net/netfilter/xt_nat.c:xt_dnat_target_v2(). */
export function setupDnat(skb: SkBuff, state: HookState, range: NatRange): Verdict {
  return setup(skb, state, range, "DST");
}

/** `-j SNAT`. Mirrors xt_snat_target_v2(). */
export function setupSnat(skb: SkBuff, state: HookState, range: NatRange): Verdict {
  return setup(skb, state, range, "SRC");
}

function setup(skb: SkBuff, state: HookState, range: NatRange, kind: NatKind): Verdict {
  const entry = connectionOf(skb);
  if (entry !== undefined) natSetupInfo(state.ns, entry, range, kind);
  return ACCEPT;
}

function toAddress(
  skb: SkBuff,
  state: HookState,
  address: Ipv4,
  range: NatRange,
  kind: NatKind,
): Verdict {
  const { ports, basePort, random, randomFully, persistent } = range;
  const addresses = { low: address, high: address };
  return setup(skb, state, { addresses, ports, basePort, random, randomFully, persistent }, kind);
}

/** `-j MASQUERADE`: the output device's own address for the next hop. Mirrors nf_nat_masquerade_ipv4(). */
export function masquerade(skb: SkBuff, state: HookState, range: NatRange): Verdict {
  const entry = connectionOf(skb);
  const { network } = skb.frame;
  if (entry === undefined || state.out === undefined || network?.kind !== "ipv4") return ACCEPT;
  if (entry.original.source === IPV4_ANY) return ACCEPT;
  const gateway = skb.route?.gateway;
  const nextHop = typeof gateway === "number" ? gateway : network.destination;
  const source = selectSource(state.out, nextHop, RT_SCOPE_UNIVERSE);
  if (source === IPV4_ANY) return DROP;
  masqueradeFlush(state.ns);
  entry.masqueradeIfindex = state.out.ifindex;
  return toAddress(skb, state, source, range, "SRC");
}

/** `-j REDIRECT`: to this machine, by the address the packet came in on. Mirrors nf_nat_redirect_ipv4(). */
export function redirect(skb: SkBuff, state: HookState, range: NatRange): Verdict {
  if (state.hook === "OUTPUT") return toAddress(skb, state, IPV4_LOOPBACK, range, "DST");
  const primary =
    state.in === undefined
      ? undefined
      : addressesOf(state.in).find((address) => !address.secondary);
  return primary === undefined ? DROP : toAddress(skb, state, primary.local, range, "DST");
}

/** `-j NETMAP`: another network, the same host. Mirrors net/netfilter/xt_NETMAP.c:netmap_tg4(). */
export function netmap(
  skb: SkBuff,
  state: HookState,
  to: Ipv4Prefix,
  range: NatRange = {},
): Verdict {
  const { network } = skb.frame;
  if (network?.kind !== "ipv4" || !isNatHook(state.hook)) return ACCEPT;
  const kind = NAT_HOOKS[state.hook];
  const address = kind === "DST" ? network.destination : network.source;
  return toAddress(skb, state, mapIpv4Prefix(address, to), range, kind);
}

function isNatHook(hook: string): hook is keyof typeof NAT_HOOKS {
  return hook in NAT_HOOKS;
}

/**
 * Masqueraded connections end when their device goes down or loses the address. Listening starts with the first.
 * Mirrors net/netfilter/nf_nat_masquerade.c:masq_device_event() and masq_inet_event().
 */
const masqueradeFlush: (ns: NetworkNamespace) => object = perNamespace((ns) => {
  const table = conntrack(ns);
  ns.onDeviceNotice((notice, dev) => {
    if (notice === "down") table.remove((entry) => entry.masqueradeIfindex === dev.ifindex);
  });
  onAddressRemoved(ns, ({ dev, local }) => {
    table.remove(
      (entry) => entry.masqueradeIfindex === dev.ifindex && entry.reply.destination === local,
    );
  });
  return table;
});
