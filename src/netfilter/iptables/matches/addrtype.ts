import type { HookState } from "../../../core/hooks.js";
import type { NetDevice } from "../../../core/device.js";
import { fib6 } from "../../../inet/ipv6/fib.js";
import { isOwnAddress6 } from "../../../inet/ipv6/addresses.js";
import { looksForReachable } from "../../../inet/ipv6/route.js";
import { inetAddrType } from "../../../inet/source-address.js";
import { type IpAddress, IPV6_ANY, type Ipv6, isIpv6Multicast } from "../../../wire/ip.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";
import { not } from "../values.js";

/** In bit order of RTN_*, which is the order they are printed in. */
const TYPES = [
  "UNSPEC",
  "UNICAST",
  "LOCAL",
  "BROADCAST",
  "ANYCAST",
  "MULTICAST",
  "BLACKHOLE",
  "UNREACHABLE",
  "PROHIBIT",
  "THROW",
  "NAT",
  "XRESOLVE",
] as const;
/** IPv6 knows neither of these. */
const NOT_IN_V6 = ["BLACKHOLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE", "BROADCAST"];

interface Types {
  readonly value: readonly string[];
  readonly invert: boolean;
}

interface AddrType {
  readonly source: Types | undefined;
  readonly destination: Types | undefined;
  readonly limitIn: boolean;
  readonly limitOut: boolean;
}

const SRC = option("src-type", readTypes, { not: true });
const DST = option("dst-type", readTypes, { not: true });
const IN = flag("limit-iface-in", { excludes: ["limit-iface-out"] });
const OUT = flag("limit-iface-out", { excludes: ["limit-iface-in"] });

/** `-m addrtype`: what the routing tables say of an address. */
export const addrtype: MatchExtension = defineMatch<AddrType>({
  name: "addrtype",
  mirrors: "net/netfilter/xt_addrtype.c:addrtype_mt_v1()",
  fidelity: "exact",
  examples: [
    "--dst-type LOCAL",
    "! --src-type UNICAST,LOCAL ! --dst-type LOCAL",
    "--dst-type LOCAL --limit-iface-in",
  ],
  options: [SRC, DST, IN, OUT],
  check(args) {
    if (!args.has(SRC) && !args.has(DST))
      throw refuse("addrtype: you must specify --src-type or --dst-type");
  },
  parse: (args) => ({
    source: args.get(SRC),
    destination: args.get(DST),
    limitIn: args.has(IN),
    limitOut: args.has(OUT),
  }),
  format({ source, destination, limitIn, limitOut }) {
    const words: string[] = [];
    if (source !== undefined)
      words.push(`${not(source.invert)}--src-type ${source.value.join(",")}`);
    if (destination !== undefined)
      words.push(`${not(destination.invert)}--dst-type ${destination.value.join(",")}`);
    if (limitIn) words.push("--limit-iface-in");
    if (limitOut) words.push("--limit-iface-out");
    return words.join(" ");
  },
  refuses({ source, destination, limitIn, limitOut }, { hooks, family }) {
    if (limitOut && (hooks.has("PREROUTING") || hooks.has("INPUT"))) return "Invalid argument";
    if (limitIn && (hooks.has("POSTROUTING") || hooks.has("OUTPUT"))) return "Invalid argument";
    const named = [...(source?.value ?? []), ...(destination?.value ?? [])];
    return family === "ipv6" && named.some((type) => NOT_IN_V6.includes(type))
      ? "Invalid argument"
      : undefined;
  },
  isPure: true,
  matches(params, skb, state) {
    const { network } = skb.frame;
    if (network === undefined || network.kind === "arp") return "unknown";
    return failing(params, network, state) === undefined;
  },
  why(params, skb, state) {
    const { network } = skb.frame;
    if (network === undefined || network.kind === "arp") return "";
    const side = failing(params, network, state) ?? "source";
    return `${side} is ${typesOf(network[side], params, state).join(",")}`;
  },
});

type Side = "source" | "destination";

/** The address that is not as the rule wants it. */
function failing(
  params: AddrType,
  ends: Readonly<Record<Side, IpAddress>>,
  state: HookState,
): Side | undefined {
  return (["source", "destination"] as const).find((side) => {
    const types = params[side];
    return types !== undefined && fits(types, ends[side], params, state) === types.invert;
  });
}

function fits({ value }: Types, address: IpAddress, params: AddrType, state: HookState): boolean {
  if (typeof address === "bigint") return fits6(value, address, params, state);
  return value.includes(inetAddrType(state.ns, address, limitOf(params, state)));
}

function limitOf({ limitIn, limitOut }: AddrType, state: HookState): NetDevice | undefined {
  return limitIn ? state.in : limitOut ? state.out : undefined;
}

/** For the trace: all that an address is. */
function typesOf(address: IpAddress, params: AddrType, state: HookState): readonly string[] {
  return typeof address === "bigint"
    ? TYPES.filter((type) => !NOT_IN_V6.includes(type) && fits6([type], address, params, state))
    : [inetAddrType(state.ns, address, limitOf(params, state))];
}

/**
 * What the address itself says has to hold for every type named, what the routes say for one of those that ask them.
 * Mirrors net/netfilter/xt_addrtype.c:match_type6().
 */
function fits6(
  types: readonly string[],
  address: Ipv6,
  params: AddrType,
  state: HookState,
): boolean {
  const isGroup = isIpv6Multicast(address);
  if (types.includes("MULTICAST") && !isGroup) return false;
  if (types.includes("UNICAST") && (isGroup || address === IPV6_ANY)) return false;
  if (types.includes("UNSPEC") && address !== IPV6_ANY) return false;
  const asked = types.filter((type) => BY_ROUTE.includes(type));
  if (asked.length === 0) return true;
  const found = routeTypesOf(address, limitOf(params, state), state);
  return asked.some((type) => found.includes(type));
}

const BY_ROUTE: readonly string[] = ["LOCAL", "ANYCAST", "UNREACHABLE"];

/** Mirrors net/netfilter/xt_addrtype.c:match_lookup_rt6(). */
function routeTypesOf(
  address: Ipv6,
  dev: NetDevice | undefined,
  { ns }: HookState,
): readonly string[] {
  const types = dev !== undefined && isOwnAddress6(ns, address, dev) ? ["LOCAL"] : [];
  const found = fib6(ns).lookup({
    destination: address,
    source: IPV6_ANY,
    tos: 0,
    mark: 0,
    iif: "lo",
    oif: dev,
    ruleOif: dev,
    strict: false,
    reachable: looksForReachable(ns),
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
  });
  if (found.kind === "miss") return ["UNREACHABLE"];
  switch (found.route.type) {
    case "local":
      return dev === undefined ? ["LOCAL"] : types;
    case "anycast":
      return [...types, "ANYCAST"];
    case "unicast":
    case "multicast":
      return types;
    default:
      return ["UNREACHABLE"];
  }
}

function readTypes(text: string): readonly string[] {
  const named = text.split(",").map((word) => {
    const type = TYPES.find((known) => known === word.toUpperCase());
    if (type === undefined) throw refuse(`addrtype: bad type "${word}"`);
    return type;
  });
  return TYPES.filter((type) => named.includes(type));
}
