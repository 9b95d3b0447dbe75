import type { TraceEvent } from "../../core/trace.js";
import {
  type Ipv4Prefix,
  IPV4_ANY,
  type IpPrefix,
  ipPrefixContains,
  IPV6_ANY,
  type Ipv6Prefix,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6Prefix,
} from "../../wire/ip.js";

/** Something recorded of a node that could not be built: packets that meet it have no certain answer. */
export type RecordedGap =
  | { readonly kind: "device"; readonly node: string; readonly dev: string; readonly what: string }
  | {
      readonly kind: "route";
      readonly node: string;
      readonly to: IpPrefix;
      readonly what: string;
    };

/** The gaps that packets met, in words, each once. Reads the trace. */
export function gapsMet(
  gaps: readonly RecordedGap[],
  events: readonly TraceEvent[],
): readonly string[] {
  if (gaps.length === 0) return [];
  const met = gaps.filter((gap) => events.some((event) => meets(gap, event)));
  return [...new Set(met.map(({ what }) => what))];
}

function meets(gap: RecordedGap, event: TraceEvent): boolean {
  if (gap.kind === "device" && event.kind === "bridge")
    return event.ns === gap.node && event.bridge === gap.dev;
  if (event.kind !== "route" || event.ns !== gap.node || event.result === "local") return false;
  if (gap.kind === "device") return event.out === gap.dev;
  const header = event.frame.network;
  return (
    (header?.kind === "ipv4" || header?.kind === "ipv6") &&
    ipPrefixContains(gap.to, header.destination)
  );
}

/** `default`, `2001:db8::/32` or `2001:db8::1` of an IPv6 route. */
export function prefix6Of(text: string): Ipv6Prefix | undefined {
  return text === "default" ? { address: IPV6_ANY, length: 0 } : parseIpv6Prefix(text);
}

/** `default`, `10.0.0.0/8` or `10.0.0.1` as a route's destination is printed. */
export function prefixOf(text: string): Ipv4Prefix | undefined {
  if (text === "default") return { address: IPV4_ANY, length: 0 };
  const address = parseIpv4(text);
  return address === undefined ? parseIpv4Prefix(text) : { address, length: 32 };
}
