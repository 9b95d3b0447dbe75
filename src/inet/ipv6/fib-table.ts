import type { NetDevice } from "../../core/device.js";
import { type Ipv6, type Ipv6Prefix, maskIpv6 } from "../../wire/ip.js";
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

  /** The longest match whose device will do; shorter ones are tried when none of a network's does. Mirrors fib6_table_lookup(). */
  lookup(key: Flow6Key): Fib6Match | undefined {
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

/** Of the routes with the best metric that fit, one by the device asked for; then by preference and age. Mirrors find_rr_leaf(). */
function bestOf(routes: readonly Fib6Route[], key: Flow6Key): Fib6Route | undefined {
  let best: Fib6Route | undefined;
  let bestScore = -1;
  for (const route of routes) {
    if (best !== undefined && route.metric !== best.metric) break;
    const score = scoreOf(route, key);
    if (score <= bestScore) continue;
    best = route;
    bestScore = score;
  }
  return best;
}

/** -1 for a route that will not do. Mirrors rt6_score_route(). */
function scoreOf(route: Fib6Route, { oif, strict }: Flow6Key): number {
  if (!route.nexthops.some(isUsable)) return -1;
  const byDevice = oif === undefined || route.nexthops.some(({ dev }) => dev === oif);
  if (!byDevice && strict) return -1;
  return (byDevice ? 2 : 0) + PREFERENCE[route.pref];
}

const PREFERENCE: Readonly<Record<Fib6Route["pref"], number>> = { low: 0, medium: 4, high: 8 };

/** Without carrier a way out still counts, unless the device says otherwise. */
export function isUsable({ dev }: Fib6Nexthop): boolean {
  return hasCarrier(dev) || devConf6(dev).ignore_routes_with_linkdown === 0;
}

function hasCarrier(dev: NetDevice): boolean {
  return dev.carrier || !dev.up;
}
