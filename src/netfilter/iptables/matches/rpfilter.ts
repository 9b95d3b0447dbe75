import type { HookState } from "../../../core/hooks.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { fib } from "../../../inet/fib.js";
import { RT_SCOPE_UNIVERSE } from "../../../inet/fib-types.js";
import { fib6 } from "../../../inet/ipv6/fib.js";
import {
  IPV4_ANY,
  IPV4_BROADCAST,
  IPV6_ANY,
  isIpv4Multicast,
  isIpv6LinkLocal,
  isIpv6Multicast,
} from "../../../wire/ip.js";
import type { Ipv4Header } from "../../../wire/ipv4.js";
import type { Ipv6Header } from "../../../wire/ipv6.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag } from "../options.js";

interface RpFilter {
  readonly loose: boolean;
  readonly validMark: boolean;
  readonly acceptLocal: boolean;
  readonly invert: boolean;
}

const LOOSE = flag("loose");
const VALIDMARK = flag("validmark");
const ACCEPT_LOCAL = flag("accept-local");
const INVERT = flag("invert");

/** `-m rpfilter`: whether the way back to the source leads by the device it came in. */
export const rpfilter: MatchExtension = defineMatch<RpFilter>({
  name: "rpfilter",
  mirrors: "net/ipv4/netfilter/ipt_rpfilter.c:rpfilter_mt()",
  fidelity: "exact",
  examples: ["", "--loose", "--validmark --accept-local --invert"],
  options: [LOOSE, VALIDMARK, ACCEPT_LOCAL, INVERT],
  only: { tables: ["raw", "mangle"], hooks: ["PREROUTING"] },
  parse: (args) => ({
    loose: args.has(LOOSE),
    validMark: args.has(VALIDMARK),
    acceptLocal: args.has(ACCEPT_LOCAL),
    invert: args.has(INVERT),
  }),
  format: ({ loose, validMark, acceptLocal, invert }) =>
    [
      ...(loose ? ["--loose"] : []),
      ...(validMark ? ["--validmark"] : []),
      ...(acceptLocal ? ["--accept-local"] : []),
      ...(invert ? ["--invert"] : []),
    ].join(" "),
  matches: (params, skb, state) => isReversible(params, skb, state) !== params.invert,
  why: (params, _, state) =>
    params.invert
      ? `the way back to the source leads by ${state.in?.name ?? "the device"}`
      : `the way back to the source does not lead by ${state.in?.name ?? "the device"}`,
});

function isReversible(params: RpFilter, skb: SkBuff, state: HookState): boolean {
  const { network } = skb.frame;
  if (skb.packetType === "LOOPBACK" || state.in?.isLoopback === true) return true;
  if (network?.kind === "ipv4") return isReversible4(params, skb, network, state);
  return network?.kind === "ipv6" && isReversible6(params, skb, network, state);
}

/** Mirrors net/ipv4/netfilter/ipt_rpfilter.c:rpfilter_lookup_reverse(). */
function isReversible4(
  params: RpFilter,
  skb: SkBuff,
  { source, destination, tos }: Ipv4Header,
  state: HookState,
): boolean {
  const isLocalGroup = destination >>> 8 === 0xe0_0000;
  if (source === IPV4_ANY && (destination === IPV4_BROADCAST || isLocalGroup)) return true;
  const isHost = !isIpv4Multicast(destination) && destination !== IPV4_BROADCAST;
  const found = fib(state.ns).lookup({
    destination: source,
    source: isHost ? destination : IPV4_ANY,
    tos: tos & IPTOS_DSCP,
    mark: params.validMark ? skb.mark : 0,
    iif: "lo",
    oif: undefined,
    scope: RT_SCOPE_UNIVERSE,
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
    ignoreLinkState: true,
  });
  if (found.kind === "miss") return false;
  const { type, nexthops } = found.route;
  if (type !== "unicast" && !(type === "local" && params.acceptLocal)) return false;
  return params.loose || nexthops.some(({ dev }) => dev === state.in);
}

const IPTOS_DSCP = 0xfc;

/** Mirrors net/ipv6/netfilter/ip6t_rpfilter.c:rpfilter_lookup_reverse6(). */
function isReversible6(
  params: RpFilter,
  skb: SkBuff,
  { source, destination, trafficClass, protocol }: Ipv6Header,
  state: HookState,
): boolean {
  if (source === IPV6_ANY) return true;
  const dev = state.in;
  const isLinkLocal = isIpv6LinkLocal(source);
  const oif = isLinkLocal || !params.loose ? dev : undefined;
  const found = fib6(state.ns).lookup({
    destination: source,
    source: isIpv6Multicast(destination) ? IPV6_ANY : destination,
    tos: trafficClass & IPTOS_DSCP,
    mark: params.validMark ? skb.mark : 0,
    iif: "lo",
    oif,
    ruleOif: oif,
    strict: isLinkLocal,
    reachable: false,
    uid: 0,
    protocol,
    sourcePort: 0,
    destinationPort: 0,
  });
  if (found.kind === "miss") return false;
  const { type, nexthops } = found.route;
  if (type === "local") return params.acceptLocal;
  if (type !== "unicast") return false;
  return params.loose || nexthops.some((nexthop) => nexthop.dev === dev);
}
