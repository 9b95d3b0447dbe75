import type { HookState } from "../../../core/hooks.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { inetAddrType } from "../../../inet/source-address.js";
import type { Ipv4 } from "../../../wire/ip.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { ipv4HeaderOf } from "../packet.js";
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
    const header = ipv4HeaderOf(skb);
    if (header === undefined) return "unknown";
    return (
      (params.source === undefined || fits(params.source, header.source, params, state)) &&
      (params.destination === undefined ||
        fits(params.destination, header.destination, params, state))
    );
  },
  why(params, skb, state) {
    const header = ipv4HeaderOf(skb);
    if (header === undefined) return "";
    const { source } = params;
    if (source !== undefined && !fits(source, header.source, params, state))
      return `source is ${typeOf(header.source, params, state)}`;
    return `destination is ${typeOf(header.destination, params, state)}`;
  },
});

function fits(types: Types, address: Ipv4, params: AddrType, state: HookState): boolean {
  return types.value.includes(typeOf(address, params, state)) !== types.invert;
}

function typeOf(address: Ipv4, { limitIn, limitOut }: AddrType, state: HookState): string {
  const dev: SkBuff["dev"] = limitIn ? state.in : limitOut ? state.out : undefined;
  return inetAddrType(state.ns, address, dev);
}

function readTypes(text: string): readonly string[] {
  const named = text.split(",").map((word) => {
    const type = TYPES.find((known) => known === word.toUpperCase());
    if (type === undefined) throw refuse(`addrtype: bad type "${word}"`);
    return type;
  });
  return TYPES.filter((type) => named.includes(type));
}
