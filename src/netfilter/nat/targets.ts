import { ACCEPT, type HookState, type Verdict } from "../../core/hooks.js";
import type { NetDevice } from "../../core/device.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";
import { addressesOf, onAddressRemoved } from "../../inet/addresses.js";
import { RT_SCOPE_UNIVERSE } from "../../inet/fib-types.js";
import {
  addresses6Of,
  IPV6_SCOPE_HOST,
  IPV6_SCOPE_LINK,
  IPV6_SCOPE_SITE,
  onAddress6Removed,
  scopeOf,
} from "../../inet/ipv6/addresses.js";
import { selectSource6 } from "../../inet/ipv6/source-selection.js";
import { selectSource } from "../../inet/source-address.js";
import {
  type IpAddress,
  type IpPrefix,
  IPV4_ANY,
  IPV4_LOOPBACK,
  IPV6_LOOPBACK,
  type Ipv6,
  mapIpv4Prefix,
  mapIpv6Prefix,
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
  address: IpAddress,
  range: NatRange,
  kind: NatKind,
): Verdict {
  const { ports, basePort, random, randomFully, persistent } = range;
  const addresses = { low: address, high: address };
  return setup(skb, state, { addresses, ports, basePort, random, randomFully, persistent }, kind);
}

/** `-j MASQUERADE`: an address of the output device. Mirrors nf_nat_masquerade_ipv4() and nf_nat_masquerade_ipv6(). */
export function masquerade(skb: SkBuff, state: HookState, range: NatRange): Verdict {
  const entry = connectionOf(skb);
  if (entry === undefined || state.out === undefined) return ACCEPT;
  if (entry.original.source === IPV4_ANY) return ACCEPT;
  const source = masqueradeSource(skb, state.out);
  if (source === undefined) return DROP;
  masqueradeFlush(state.ns);
  entry.masqueradeIfindex = state.out.ifindex;
  return toAddress(skb, state, source, range, "SRC");
}

/** For IPv4 the device's address for the next hop, for IPv6 the one that a packet of this host would get. */
function masqueradeSource(skb: SkBuff, out: NetDevice): IpAddress | undefined {
  const { network } = skb.frame;
  if (network?.kind === "ipv6") return selectSource6(out.ns, out, network.destination);
  if (network?.kind !== "ipv4") return undefined;
  const gateway = skb.route?.gateway;
  const nextHop = typeof gateway === "number" ? gateway : network.destination;
  const source = selectSource(out, nextHop, RT_SCOPE_UNIVERSE);
  return source === IPV4_ANY ? undefined : source;
}

/** `-j REDIRECT`: to this machine, by the address the packet came in on. Mirrors nf_nat_redirect_ipv4() and nf_nat_redirect_ipv6(). */
export function redirect(skb: SkBuff, state: HookState, range: NatRange): Verdict {
  const address = redirectAddress(skb, state);
  return address === undefined ? DROP : toAddress(skb, state, address, range, "DST");
}

function redirectAddress({ frame }: SkBuff, state: HookState): IpAddress | undefined {
  const { network } = frame;
  if (network?.kind === "ipv6") {
    if (state.hook === "OUTPUT") return IPV6_LOOPBACK;
    return state.in === undefined ? undefined : ownAddress6(state.in, network.destination);
  }
  if (state.hook === "OUTPUT") return IPV4_LOOPBACK;
  if (state.in === undefined) return undefined;
  return addressesOf(state.in).find((address) => !address.secondary)?.local;
}

/** The device's first address that is sure, for a destination that stays on its link one of that scope. Mirrors nf_nat_redirect_ipv6_usable(). */
function ownAddress6(dev: NetDevice, destination: Ipv6): Ipv6 | undefined {
  const wanted = narrowScope(destination);
  return addresses6Of(dev).find(
    ({ address, tentative }) =>
      !tentative &&
      !isMappedIpv4(address) &&
      (wanted === undefined || narrowScope(address) === wanted),
  )?.address;
}

/** ::ffff:0:0/96. */
function isMappedIpv4(address: Ipv6): boolean {
  return address >> 32n === 0xffffn;
}

/** The scope of an address that does not reach everywhere. Mirrors ipv6_addr_scope(). */
function narrowScope(address: Ipv6): number | undefined {
  const scope = scopeOf(address);
  return NARROW_SCOPES.includes(scope) ? scope : undefined;
}

const NARROW_SCOPES: readonly number[] = [IPV6_SCOPE_HOST, IPV6_SCOPE_LINK, IPV6_SCOPE_SITE];

/** `-j NETMAP`: another network, the same host. Mirrors net/netfilter/xt_NETMAP.c:netmap_tg4() and netmap_tg6(). */
export function netmap(
  skb: SkBuff,
  state: HookState,
  { address: to, length }: IpPrefix,
  range: NatRange = {},
): Verdict {
  const { network } = skb.frame;
  if (network === undefined || network.kind === "arp" || !isNatHook(state.hook)) return ACCEPT;
  const kind = NAT_HOOKS[state.hook];
  const address: IpAddress = kind === "DST" ? network.destination : network.source;
  const mapped =
    typeof address === "number"
      ? typeof to === "number" && mapIpv4Prefix(address, { address: to, length })
      : typeof to === "bigint" && mapIpv6Prefix(address, { address: to, length });
  return mapped === false ? ACCEPT : toAddress(skb, state, mapped, range, kind);
}

function isNatHook(hook: string): hook is keyof typeof NAT_HOOKS {
  return hook in NAT_HOOKS;
}

/**
 * Masqueraded connections end when their device goes down or loses the address. Listening starts with the first.
 * Mirrors net/netfilter/nf_nat_masquerade.c:masq_device_event(), masq_inet_event() and masq_inet6_event().
 */
const masqueradeFlush: (ns: NetworkNamespace) => object = perNamespace((ns) => {
  const table = conntrack(ns);
  ns.onDeviceNotice((notice, dev) => {
    if (notice === "down") table.remove((entry) => entry.masqueradeIfindex === dev.ifindex);
  });
  const lost = ({ ifindex }: NetDevice, address: IpAddress): void => {
    table.remove(
      (entry) => entry.masqueradeIfindex === ifindex && entry.reply.destination === address,
    );
  };
  onAddressRemoved(ns, ({ dev, local }) => lost(dev, local));
  onAddress6Removed(ns, ({ dev, address }) => lost(dev, address));
  return table;
});
