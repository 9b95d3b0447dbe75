import type { Errno } from "../core/errno.js";
import type { RouteType } from "../core/route.js";
import { type Ipv4, type Ipv4Prefix, ipv4Mask } from "../wire/ip.js";
import { devConf } from "./devconf.js";
import {
  type FibNexthop,
  type FibResult,
  type FibRoute,
  type FlowKey,
  LEGACY_TOS_MASK,
  NO_ROUTE,
} from "./fib-types.js";

/** The error that each type of route brings. Mirrors net/ipv4/fib_semantics.c:fib_props. */
const ERRORS: Partial<Record<RouteType, Errno>> = {
  blackhole: "EINVAL",
  unreachable: "EHOSTUNREACH",
  prohibit: "EACCES",
  throw: "EAGAIN",
};

/** One hash of networks per prefix length. The kernel's trie gives the same answers; `test/inet/fib.test.ts` compares with a plain search. */
export class FibTable {
  readonly id: number;
  /** By length 0..32: the routes of each network, in order of preference. */
  readonly #byLength: (Map<number, readonly FibRoute[]> | undefined)[] = [];
  /** The lengths in use, longest first. */
  #lengths: readonly number[] = [];

  constructor(id: number) {
    this.id = id;
  }

  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** The routes of exactly this network, in order of preference. */
  at(prefix: Ipv4Prefix): readonly FibRoute[] {
    return this.#byLength[prefix.length]?.get(prefix.address) ?? NONE;
  }

  /** Replaces the routes of one network. They must be in order: larger TOS first, then lower metric. */
  set(prefix: Ipv4Prefix, routes: readonly FibRoute[]): void {
    const networks = this.#byLength[prefix.length] ?? new Map<number, readonly FibRoute[]>();
    if (routes.length > 0) networks.set(prefix.address, routes);
    else networks.delete(prefix.address);
    this.#byLength[prefix.length] = networks.size === 0 ? undefined : networks;
    this.#lengths = LENGTHS.filter((length) => this.#byLength[length] !== undefined);
  }

  /** All routes in the order `ip route show` prints them: by address, then longest prefix. */
  list(): readonly FibRoute[] {
    const all = this.#lengths.flatMap((length) =>
      [...(this.#byLength[length] ?? new Map<number, readonly FibRoute[]>()).values()].flat(),
    );
    return all.sort(
      (a, b) => a.prefix.address - b.prefix.address || b.prefix.length - a.prefix.length,
    );
  }

  /** Longest prefix first, back to shorter ones when no route of it fits. Mirrors net/ipv4/fib_trie.c:fib_table_lookup(). */
  lookup(key: FlowKey): FibResult {
    for (const length of this.#lengths) {
      const found = this.lookupLength(key, length);
      if (found !== undefined) return found;
    }
    return NO_ROUTE;
  }

  /** As `lookup`, among networks of one length; undefined when none fits. */
  lookupLength(key: FlowKey, length: number): FibResult | undefined {
    const routes = this.#byLength[length]?.get((key.destination & ipv4Mask(length)) >>> 0);
    if (routes === undefined) return undefined;
    for (const route of routes) {
      if (route.tos !== 0 && route.tos !== (key.tos & LEGACY_TOS_MASK)) continue;
      if (route.scope < key.scope) continue;
      const error = ERRORS[route.type];
      if (error !== undefined)
        return { kind: "miss", error, again: route.type === "throw", route, rule: undefined };
      const index = usableNexthop(route, key);
      if (index >= 0) return { kind: "match", route, index };
    }
    return undefined;
  }

  /** Whether an address of this table matches at all, whatever the flow: for inet_addr_type(). */
  typeOf(address: Ipv4): FibRoute | undefined {
    for (const length of this.#lengths) {
      const route = this.#byLength[length]?.get((address & ipv4Mask(length)) >>> 0)?.[0];
      if (route !== undefined) return route;
    }
    return undefined;
  }
}

const NONE: readonly FibRoute[] = [];
const LENGTHS: readonly number[] = Array.from({ length: 33 }, (_, index) => 32 - index);

function usableNexthop(route: FibRoute, key: FlowKey): number {
  const { nexthops } = route;
  for (let index = 0; index < nexthops.length; index++) {
    const nexthop = nexthops[index] as FibNexthop;
    if (nexthop.dead || nexthop.dev === undefined) continue;
    if (key.oif !== undefined && nexthop.dev !== key.oif) continue;
    if (
      !key.ignoreLinkState &&
      !nexthop.dev.carrier &&
      devConf(nexthop.dev).ignore_routes_with_linkdown !== 0
    )
      continue;
    return index;
  }
  return -1;
}
