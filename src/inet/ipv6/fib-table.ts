import type { NetDevice } from "../../core/device.js";
import { IPV6_LOOPBACK, type Ipv6, type Ipv6Prefix, maskIpv6 } from "../../wire/ip.js";
import { neighbours6 } from "../neighbour.js";
import { devConf6 } from "./devconf.js";
import type { Fib6Match, Fib6Nexthop, Fib6Route, Flow6Key } from "./fib-types.js";

/** One routing table: routes by prefix length and network, those of one network by metric. Mirrors struct fib6_table. */
export class Fib6Table {
  readonly id: number;
  readonly #byLength = new Map<number, Map<Ipv6, readonly Fib6Route[]>>();
  /** Lengths in use, the longest first. */
  #lengths: readonly number[] = [];

  constructor(id: number) {
    this.id = id;
  }

  /** The routes to one network, the best metric first. */
  at({ address, length }: Ipv6Prefix): readonly Fib6Route[] {
    return this.#byLength.get(length)?.get(address) ?? NONE;
  }

  set({ address, length }: Ipv6Prefix, routes: readonly Fib6Route[]): void {
    let networks = this.#byLength.get(length);
    if (networks === undefined) this.#byLength.set(length, (networks = new Map()));
    if (routes.length > 0) networks.set(address, routes);
    else networks.delete(address);
    if (networks.size === 0) this.#byLength.delete(length);
    this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a);
  }

  /** In the order `ip -6 route show` prints them: by address, what is inside a network before the network. */
  list(): readonly Fib6Route[] {
    return [...this.#byLength.values()]
      .flatMap((networks) => [...networks.values()])
      .toSorted((a, b) => inTreeOrder(a[0]?.prefix, b[0]?.prefix))
      .flat();
  }

  /**
   * The longest match whose device will do and whose gateway answers; shorter ones are tried when none of a network's does.
   * Where all gateways have failed the longest match counts nevertheless. Mirrors fib6_table_lookup().
   */
  lookup(key: Flow6Key): Fib6Match | undefined {
    const found = this.#longest(key);
    return found === undefined && key.reachable
      ? this.#longest({ ...key, reachable: false })
      : found;
  }

  #longest(key: Flow6Key): Fib6Match | undefined {
    for (const length of this.#lengths) {
      const routes = this.#byLength.get(length)?.get(maskIpv6(key.destination, length));
      const found = routes === undefined ? undefined : bestOf(routes, key);
      if (found !== undefined) return { kind: "match", route: found };
    }
    return undefined;
  }
}

const NONE: readonly Fib6Route[] = [];

function inTreeOrder(a: Ipv6Prefix | undefined, b: Ipv6Prefix | undefined): number {
  if (a === undefined || b === undefined) return 0;
  const shared = Math.min(a.length, b.length);
  const [high, low] = [maskIpv6(a.address, shared), maskIpv6(b.address, shared)];
  if (high !== low) return high < low ? -1 : 1;
  return b.length - a.length;
}

/**
 * Of the routes with the best metric the one that scores most, the oldest of equals; where none of them will do, of all others.
 * Mirrors find_rr_leaf().
 */
function bestOf(routes: readonly Fib6Route[], key: Flow6Key): Fib6Route | undefined {
  const [first] = routes;
  const rest = routes.findIndex(({ metric }) => metric !== first?.metric);
  if (rest < 0) return highest(routes, key);
  return highest(routes.slice(0, rest), key) ?? highest(routes.slice(rest), key);
}

function highest(routes: readonly Fib6Route[], key: Flow6Key): Fib6Route | undefined {
  let best: Fib6Route | undefined;
  let bestScore = -1;
  for (const route of routes) {
    const score = Math.max(...route.nexthops.map((nexthop) => scoreOf(nexthop, route, key)));
    if (score <= bestScore) continue;
    best = route;
    bestScore = score;
  }
  return best;
}

/** What speaks for a way: its device is asked for, its router is preferred; -1 for one that will not do. Mirrors rt6_score_route(). */
export function scoreOf(nexthop: Fib6Nexthop, route: Fib6Route, key: Flow6Key): number {
  const { oif, strict, reachable } = key;
  if (!isUsable(nexthop)) return -1;
  const byDevice = oif === undefined || nexthop.dev === oif;
  if (!byDevice && strict) return -1;
  if (reachable && hasFailed(nexthop)) return -1;
  return (byDevice ? 2 : 0) + PREFERENCE[route.pref];
}

/**
 * Its gateway was asked for and did not answer. Mirrors rt6_check_neigh(). Differs: nobody asks again by itself whether it
 * is back (rt6_probe()).
 */
function hasFailed({ dev, gateway }: Fib6Nexthop): boolean {
  return gateway !== undefined && neighbours6(dev.ns).lookup(dev, gateway)?.state === "FAILED";
}

const PREFERENCE: Readonly<Record<Fib6Route["pref"], number>> = { low: 0, medium: 4, high: 8 };

/** Without carrier a way out still counts, unless the device says otherwise. */
export function isUsable({ dev }: Fib6Nexthop): boolean {
  return hasCarrier(dev) || devConf6(dev).ignore_routes_with_linkdown === 0;
}

function hasCarrier(dev: NetDevice): boolean {
  return dev.carrier || !dev.up;
}

/** A route by `lo` to elsewhere refuses like one of type unreachable, but is no error to who asks. Mirrors fib6_is_reject(). */
export function leadsNowhere(by: Fib6Route, { dev }: Fib6Nexthop): boolean {
  return by.type === "unicast" && dev.isLoopback && by.prefix.address !== IPV6_LOOPBACK;
}
