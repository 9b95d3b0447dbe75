import type { NetDevice } from "../core/device.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { Route } from "../core/route.js";
import type { SkBuff } from "../core/skbuff.js";
import { get32, get8, put32, put8 } from "../wire/bytes.js";
import { NO_BYTES } from "../wire/frame.js";
import { IPV4_ANY, type Ipv4, ipv4 } from "../wire/ip.js";
import type { Ipv4Header } from "../wire/ipv4.js";
import { fib } from "./fib.js";
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from "./fib-types.js";
import { inetAddrType, selectSource } from "./source-address.js";
import {
  forwardSourceRoute,
  reversedRoute,
  type SourceRoute,
  sourceRoutes,
} from "./source-route.js";

const IPOPT_END = 0;
const IPOPT_NOOP = 1;
const IPOPT_RECORD_ROUTE = 7;
const IPOPT_TIMESTAMP = 68;
const IPOPT_LSRR = 131;
const IPOPT_RA = 148;
const IPOPT_SSRR = 137;
const IPV4_HLEN = 20;
/** Flags of a timestamp option: times alone, addresses with them, or for addresses that the sender listed. */
const TS_ONLY = 0;
const TS_AND_ADDRESS = 1;
const TS_PRESPECIFIED = 3;

/** What the options of one packet have yet to be given on its way. Offsets count from the first option. Mirrors struct ip_options. */
interface OptionState {
  rr: number | undefined;
  rrNeedsAddress: boolean;
  ts: number | undefined;
  tsNeedsAddress: boolean;
  tsNeedsTime: boolean;
  sourceRoute: SourceRoute | undefined;
}

/** What the options of a packet ask for; `pointer` is the offending byte, counted from the start of the IP header. */
export type OptionsCheck =
  | { readonly kind: "bad"; readonly pointer: number }
  | { readonly kind: "good"; readonly sourceRoute: SourceRoute | undefined };

const statesIn: (ns: NetworkNamespace) => WeakMap<SkBuff, OptionState> = perNamespace(
  () => new WeakMap<SkBuff, OptionState>(),
);

/**
 * Reads the options of a packet that came in, and writes into them what this host has to say: its address and the time.
 * Mirrors net/ipv4/ip_options.c:__ip_options_compile().
 */
export function compileOptions(skb: SkBuff, network: Ipv4Header): OptionsCheck {
  const options = network.options.slice();
  const state: OptionState = {
    rr: undefined,
    rrNeedsAddress: false,
    ts: undefined,
    tsNeedsAddress: false,
    tsNeedsTime: false,
    sourceRoute: undefined,
  };
  const wrong = compileAll(skb, network, options, state);
  // A mistake is told about the packet as it stands then, with what was written before it.
  skb.frame = { ...skb.frame, network: { ...network, options } };
  statesIn(skb.ns).set(skb, state);
  if (state.sourceRoute !== undefined) sourceRoutes(skb.ns).set(skb, state.sourceRoute);
  return wrong === undefined
    ? { kind: "good", sourceRoute: state.sourceRoute }
    : { kind: "bad", pointer: IPV4_HLEN + wrong };
}

/** Where the first mistake is; undefined when there is none. */
function compileAll(
  skb: SkBuff,
  network: Ipv4Header,
  options: Uint8Array,
  state: OptionState,
): number | undefined {
  for (let at = 0; at < options.length;) {
    const kind = get8(options, at);
    if (kind === IPOPT_END) {
      options.fill(IPOPT_END, at);
      break;
    }
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    const length = get8(options, at + 1);
    if (at + 1 >= options.length || length < 2 || at + length > options.length) return at;
    const wrong = compileOne(skb, network, { options, at, length, kind }, state);
    if (wrong !== undefined) return at + wrong;
    at += length;
  }
  return undefined;
}

interface Option {
  readonly options: Uint8Array;
  readonly at: number;
  readonly length: number;
  readonly kind: number;
}

/** The offset of what is wrong within the option; undefined when all is well. */
function compileOne(
  skb: SkBuff,
  network: Ipv4Header,
  option: Option,
  state: OptionState,
): number | undefined {
  const { options, at, length, kind } = option;
  switch (kind) {
    case IPOPT_LSRR:
    case IPOPT_SSRR:
      if (length < 3) return 1;
      if (get8(options, at + 2) < 4) return 2;
      if (state.sourceRoute !== undefined) return 0;
      state.sourceRoute = { at, isStrict: kind === IPOPT_SSRR, nexthop: undefined };
      return undefined;
    case IPOPT_RECORD_ROUTE:
      return recordRoute(skb, network, option, state);
    case IPOPT_TIMESTAMP:
      return timestamp(skb, network, option, state);
    case IPOPT_RA:
      return length < 4 ? 1 : undefined;
    default:
      return undefined;
  }
}

function recordRoute(
  skb: SkBuff,
  network: Ipv4Header,
  { options, at, length }: Option,
  state: OptionState,
): number | undefined {
  if (state.rr !== undefined) return 0;
  if (length < 3) return 1;
  const pointer = get8(options, at + 2);
  if (pointer < 4) return 2;
  if (pointer <= length) {
    if (pointer + 3 > length) return 2;
    put32(options, at + pointer - 1, addressFor(skb, network));
    put8(options, at + 2, pointer + 4);
    state.rrNeedsAddress = true;
  }
  state.rr = at;
  return undefined;
}

function timestamp(
  skb: SkBuff,
  network: Ipv4Header,
  { options, at, length }: Option,
  state: OptionState,
): number | undefined {
  if (state.ts !== undefined) return 0;
  if (length < 4) return 1;
  const pointer = get8(options, at + 2);
  const flags = get8(options, at + 3);
  if (pointer < 5) return 2;
  if (pointer > length) {
    if (flags >>> 4 === 15 && (flags & 15) !== TS_PRESPECIFIED) return 3;
    state.ts = at;
    if ((flags & 15) === TS_PRESPECIFIED) return undefined;
    put8(options, at + 3, flags + 16);
    return undefined;
  }
  const kind = flags & 15;
  const pair = kind === TS_AND_ADDRESS || kind === TS_PRESPECIFIED;
  if (pointer + (pair ? 7 : 3) > length) return 2;
  state.ts = at;
  const place = at + pointer - 1;
  switch (kind) {
    case TS_ONLY:
      put32(options, place, timeOfDay(skb));
      put8(options, at + 2, pointer + 4);
      state.tsNeedsTime = true;
      return undefined;
    case TS_AND_ADDRESS:
      put32(options, place, addressFor(skb, network));
      put32(options, place + 4, timeOfDay(skb));
      break;
    case TS_PRESPECIFIED:
      if (inetAddrType(skb.ns, ipv4(get32(options, place))) === "UNICAST") return undefined;
      put32(options, place + 4, timeOfDay(skb));
      break;
    default:
      return undefined;
  }
  put8(options, at + 2, pointer + 8);
  state.tsNeedsAddress = true;
  state.tsNeedsTime = true;
  return undefined;
}

/** Milliseconds of the simulated day. Mirrors inet_current_timestamp(). */
function timeOfDay(skb: SkBuff): number {
  return Math.floor(skb.ns.sim.queue.now / 1000) % 86_400_000;
}

/** The address that was asked for, or that this host has towards the sender. Mirrors fib_compute_spec_dst(). */
function addressFor(skb: SkBuff, network: Ipv4Header): Ipv4 {
  if (skb.route?.type === "local") return network.destination;
  const found = sourceTowards(skb, network.source, undefined);
  if (found !== undefined || skb.dev === undefined) return found ?? IPV4_ANY;
  return selectSource(skb.dev, network.source, RT_SCOPE_LINK);
}

function sourceTowards(
  { ns, mark }: SkBuff,
  destination: Ipv4,
  out: NetDevice | undefined,
): Ipv4 | undefined {
  const found = fib(ns).lookup({
    destination,
    source: IPV4_ANY,
    tos: 0,
    mark,
    iif: "lo",
    oif: out,
    scope: RT_SCOPE_UNIVERSE,
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
    ignoreLinkState: false,
  });
  if (found.kind === "miss") return undefined;
  const { route, index } = found;
  const way = route.nexthops[index];
  if (route.source !== undefined || way?.dev === undefined) return route.source;
  return selectSource(way.dev, way.gateway ?? IPV4_ANY, route.scope);
}

/**
 * A packet goes on: what it was given on its way in is replaced by the address it leaves from, and a source route has it
 * go to the next address. Mirrors ip_forward_options().
 */
export function forwardOptions(skb: SkBuff, network: Ipv4Header): void {
  const state = statesIn(skb.ns).get(skb);
  const { route } = skb;
  if (state === undefined || route === undefined) return;
  if (state.rrNeedsAddress) {
    const options = network.options.slice();
    // Beside a time the address stays the one that faces the sender, without a source route. Observed on 6.18.
    fillIn(options, { ...state, ts: undefined }, leavingFrom(skb, route, network.destination), 0);
    skb.frame = { ...skb.frame, network: { ...network, options } };
  }
  const moved = forwardSourceRoute(skb, (nexthop) => leavingFrom(skb, route, nexthop));
  if (moved?.kind !== "ipv4" || !state.tsNeedsAddress) return;
  const options = moved.options.slice();
  const own = leavingFrom(skb, route, moved.destination);
  fillIn(options, { ...state, rr: undefined, tsNeedsTime: false }, own, 0);
  skb.frame = { ...skb.frame, network: { ...moved, options } };
}

/** The address of this host towards the destination of a packet that goes on. Mirrors ip_rt_get_source(). */
function leavingFrom(skb: SkBuff, route: Route, destination: Ipv4): Ipv4 {
  const nexthop = typeof route.gateway === "number" ? route.gateway : destination;
  return (
    sourceTowards(skb, destination, route.dev) ??
    selectSource(route.dev, nexthop, RT_SCOPE_UNIVERSE)
  );
}

/** Addresses and time go right before the pointers. Mirrors ip_options_build(). */
function fillIn(options: Uint8Array, state: OptionState, address: Ipv4, time: number): void {
  const { rr, ts } = state;
  if (rr !== undefined && state.rrNeedsAddress)
    put32(options, rr + get8(options, rr + 2) - 5, address);
  if (ts === undefined) return;
  if (state.tsNeedsAddress) put32(options, ts + get8(options, ts + 2) - 9, address);
  if (state.tsNeedsTime) put32(options, ts + get8(options, ts + 2) - 5, time);
}

/**
 * The options of an answer to a packet: its record of the route and its times go on, its source route goes back. `source`
 * is who answers.
 * Mirrors __ip_options_echo() and ip_options_build().
 */
export function echoOptions(skb: SkBuff, source: Ipv4): Uint8Array {
  const { network } = skb.frame;
  const state = statesIn(skb.ns).get(skb);
  if (network?.kind !== "ipv4" || network.options.length === 0 || state === undefined)
    return NO_BYTES;
  const parts: number[] = [];
  const answer: OptionState = { ...state, rr: undefined, ts: undefined, rrNeedsAddress: false };
  answer.tsNeedsAddress = answer.tsNeedsTime = false;
  if (state.rr !== undefined) {
    answer.rr = parts.length;
    parts.push(...copied(network.options, state.rr));
    const pointer = parts[answer.rr + 2] ?? 0;
    if (state.rrNeedsAddress && pointer <= (parts[answer.rr + 1] ?? 0)) {
      parts[answer.rr + 2] = pointer + 4;
      answer.rrNeedsAddress = true;
    }
  }
  if (state.ts !== undefined) {
    answer.ts = parts.length;
    parts.push(...copied(network.options, state.ts));
    echoTimes(skb, parts, answer.ts, state, answer);
  }
  parts.push(...(reversedRoute(skb)?.option ?? NO_BYTES));
  while (parts.length % 4 !== 0) parts.push(IPOPT_END);
  const options = Uint8Array.from(parts);
  fillIn(options, answer, source, timeOfDay(skb));
  return options;
}

function copied(options: Uint8Array, at: number): Uint8Array {
  return options.subarray(at, at + get8(options, at + 1));
}

function echoTimes(
  { ns }: SkBuff,
  parts: number[],
  at: number,
  asked: OptionState,
  answer: OptionState,
): void {
  const length = parts[at + 1] ?? 0;
  let pointer = parts[at + 2] ?? 0;
  if (pointer > length) return;
  if (asked.tsNeedsAddress) {
    answer.tsNeedsAddress = true;
    pointer += 4;
  }
  if (asked.tsNeedsTime) {
    if (((parts[at + 3] ?? 0) & 15) !== TS_PRESPECIFIED) {
      answer.tsNeedsTime = true;
      pointer += 4;
    } else if (pointer + 7 <= length) {
      const listed = ipv4(get32(Uint8Array.from(parts), at + pointer - 1));
      if (inetAddrType(ns, listed) !== "UNICAST") {
        answer.tsNeedsTime = true;
        pointer += 8;
      }
    }
  }
  parts[at + 2] = pointer;
}
