import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { told } from "../core/trace.js";
import { get32, get8, put32, put8 } from "../wire/bytes.js";
import { decodeTransport, encodeTransport, type NetworkHeader } from "../wire/frame.js";
import { type Ipv4, ipv4 } from "../wire/ip.js";
import type { Ipv4Header } from "../wire/ipv4.js";

/**
 * A source route in the options of one packet: type, length, a pointer to the next address (4 for the first one), and
 * addresses. RFC 791 §3.1. `at` counts from the first option.
 */
export interface SourceRoute {
  readonly at: number;
  readonly isStrict: boolean;
  /** The next address of the list, when the packet has reached the one before. Mirrors srr_is_hit and nexthop. */
  nexthop: Ipv4 | undefined;
}

export const sourceRoutes: (ns: NetworkNamespace) => WeakMap<SkBuff, SourceRoute> = perNamespace(
  () => new WeakMap<SkBuff, SourceRoute>(),
);

/** Another destination; what follows the header keeps its bytes, its checksum among them. */
export function redirectTo(skb: SkBuff, header: Ipv4Header, destination: Ipv4): void {
  const before = skb.frame;
  const network = { ...header, destination };
  skb.frame = { link: before.link, network, ...decodeTransport(network, encodeTransport(before)) };
  skb.ns.sim.trace?.(
    told(skb, {
      kind: "rewrite",
      by: "source route",
      hook: undefined,
      in: skb.dev?.name,
      out: undefined,
      before,
      after: skb.frame,
    }),
  );
}

/**
 * A packet goes on along its source route: it goes to the next address, and in the list stands the one it leaves from.
 * The new header, or undefined without a source route that is followed. Mirrors ip_forward_options().
 */
export function forwardSourceRoute(
  skb: SkBuff,
  leavingFrom: (nexthop: Ipv4) => Ipv4,
): NetworkHeader | undefined {
  const { network } = skb.frame;
  const sourceRoute = sourceRoutes(skb.ns).get(skb);
  if (network?.kind !== "ipv4" || sourceRoute?.nexthop === undefined) return undefined;
  const { at, nexthop } = sourceRoute;
  const options = network.options.slice();
  const length = get8(options, at + 1);
  let pointer = get8(options, at + 2);
  while (pointer + 3 <= length && get32(options, at + pointer - 1) !== nexthop) pointer += 4;
  if (pointer + 3 > length) return network;
  put32(options, at + pointer - 1, leavingFrom(nexthop));
  put8(options, at + 2, pointer + 4);
  redirectTo(skb, { ...network, options }, nexthop);
  return skb.frame.network;
}

/** The source route of an answer, and the address that it goes to first. */
export interface ReversedRoute {
  readonly option: Uint8Array;
  readonly first: Ipv4;
}

/**
 * The way back of a packet that came along a source route: the addresses it came by in reverse, and its sender last. A
 * sender that wrote itself in front is left out there (RFC 1812 §5.2.4.1). Mirrors __ip_options_echo() and
 * ip_options_build().
 */
export function reversedRoute(skb: SkBuff): ReversedRoute | undefined {
  const { network } = skb.frame;
  const sourceRoute = sourceRoutes(skb.ns).get(skb);
  if (network?.kind !== "ipv4" || sourceRoute === undefined) return undefined;
  const { at } = sourceRoute;
  const length = get8(network.options, at + 1);
  const place = Math.min(get8(network.options, at + 2), length + 1) - 4;
  if (place <= 3) return undefined;
  const address = (offset: number): Ipv4 => ipv4(get32(network.options, at + offset - 1));
  const back: Ipv4[] = [];
  let next = place - 4;
  for (; next > 3; next -= 4) back.push(address(next));
  if (address(next + 4) === network.source) {
    if (back.length === 0) return undefined;
    back.pop();
  }
  back.push(network.source);
  const option = new Uint8Array(3 + 4 * back.length);
  option.set([get8(network.options, at), option.length, 4]);
  for (const [index, hop] of back.entries()) put32(option, 3 + 4 * index, hop);
  return { option, first: address(place) };
}
