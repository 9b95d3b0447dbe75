import type { SkBuff } from "../../../core/skbuff.js";
import { isRoute6, routeOutput6 } from "../../../inet/ipv6/route.js";
import { isRoute, routeOutput } from "../../../inet/route-output.js";
import type { IpHeader } from "../../../wire/frame.js";
import type { TcpHeader } from "../../../wire/tcp.js";
import { CONTINUE, type Match, type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { ipHeaderOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { withTcp } from "../rewrite.js";
import { unsigned } from "../values.js";

/** The size to write; undefined clamps to the path. */
type Mss = number | undefined;

/** What a host assumes of a sender without the option. RFC 9293 §3.7.1. */
const DEFAULT_MSS = { ipv4: 536, ipv6: 1220 };
/** IP's and TCP's headers, in bytes. */
const HEADERS = { ipv4: 40, ipv6: 60 };

const SET = option("set-mss", unsigned(0, 65_515));
const CLAMP = flag("clamp-mss-to-pmtu");

/** `-j TCPMSS`: lowers the segment size of a SYN, or adds the option where there is none. */
export const tcpmss: TargetExtension = defineTarget<Mss>({
  name: "TCPMSS",
  mirrors: "net/netfilter/xt_TCPMSS.c:tcpmss_mangle_packet()",
  fidelity: "exact",
  examples: [
    "-p tcp -m tcp --tcp-flags SYN,RST SYN|--set-mss 1360",
    "-p tcp -m tcp --tcp-flags SYN,RST SYN|--clamp-mss-to-pmtu",
  ],
  options: [SET, CLAMP],
  only: { tables: ["mangle", "filter", "raw", "security", "nat"], protocols: [6] },
  check(args) {
    if (args.all.length === 0) throw refuse("TCPMSS target: At least one parameter is required");
  },
  parse: (args) => (args.has(CLAMP) ? undefined : args.need(SET).value),
  format: (mss) => (mss === undefined ? "--clamp-mss-to-pmtu" : `--set-mss ${mss}`),
  refuses(mss, { hooks, variant, matches }) {
    const outward = [...hooks].every(
      (hook) => hook === "FORWARD" || hook === "OUTPUT" || hook === "POSTROUTING",
    );
    if (mss === undefined && !outward) return "Invalid argument";
    return variant === "legacy" && !matches.some(testsSyn) ? "Invalid argument" : undefined;
  },
  apply(given, skb) {
    const header = ipHeaderOf(skb);
    if (header === undefined || skb.frame.transport?.kind !== "tcp") return CONTINUE;
    const mss = given ?? pathMss(skb, header);
    if (mss === undefined) return { kind: "unknown" };
    const payload = skb.frame.payload.length;
    const assumed = DEFAULT_MSS[header.kind];
    skb.frame = withTcp(skb.frame, (segment) => lowered(segment, mss, payload, assumed));
    return CONTINUE;
  },
});

/** A `-m tcp` whose flags say SYN, not negated. */
function testsSyn({ extension, text }: Match): boolean {
  const [, mask = "", compare = ""] = /(?<!! )--tcp-flags (\S+) (\S+)/.exec(text) ?? [];
  return (
    extension.name === "tcp" &&
    mask.split(",").includes("SYN") &&
    compare.split(",").includes("SYN")
  );
}

/** The smaller MTU of both ways, without headers. */
function pathMss(skb: SkBuff, header: IpHeader): number | undefined {
  if (skb.route === undefined) return undefined;
  const mtu = Math.min(skb.route.mtu, reverseMtu(skb, header));
  const headers = HEADERS[header.kind];
  return mtu <= headers ? undefined : mtu - headers;
}

/** Mirrors tcpmss_reverse_mtu(). */
function reverseMtu({ ns }: SkBuff, header: IpHeader): number {
  if (header.kind === "ipv6") {
    const back = routeOutput6(ns, { destination: header.source, mark: 0, tos: 0 });
    return isRoute6(back) ? back.mtu : Number.POSITIVE_INFINITY;
  }
  const back = routeOutput(ns, { destination: header.source, mark: 0, tos: 0 });
  return isRoute(back) ? back.mtu : Number.POSITIVE_INFINITY;
}

function lowered(header: TcpHeader, mss: number, payload: number, assumed: number): TcpHeader {
  const at = findMss(header.options);
  if (at !== undefined) {
    const old = ((header.options[at + 2] ?? 0) << 8) | (header.options[at + 3] ?? 0);
    if (old <= mss) return header;
    const options = Uint8Array.from(header.options);
    options.set([mss >> 8, mss & 0xff], at + 2);
    return { ...header, options };
  }
  // Only a segment without data may grow, and a header has room for 40 bytes of options.
  if (payload > 0 || header.options.length > 36) return header;
  const value = Math.min(mss, assumed);
  return {
    ...header,
    options: Uint8Array.from([2, 4, value >> 8, value & 0xff, ...header.options]),
  };
}

function findMss(options: Uint8Array): number | undefined {
  for (let at = 0; at < options.length;) {
    const kind = options[at] ?? 0;
    if (kind === 2 && options[at + 1] === 4 && at + 4 <= options.length) return at;
    at += kind < 2 ? 1 : Math.max(1, options[at + 1] ?? 1);
  }
  return undefined;
}
