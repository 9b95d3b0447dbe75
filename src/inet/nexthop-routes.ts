import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { FibNexthop } from "./fib-types.js";
import { type RoutingGeneration, routingGeneration } from "./generation.js";
import type { RouteEntry } from "./route-entry.js";

/**
 * The routes of forwarded packets, whatever their addresses are: one for each nexthop, until anything changes that could change it.
 * Mirrors nhc_rth_input of struct fib_nh_common.
 */
export class NexthopRoutes {
  readonly #generation: RoutingGeneration;
  readonly #routes = new Map<FibNexthop, RouteEntry>();
  #madeAt = 0;

  constructor(ns: NetworkNamespace) {
    this.#generation = routingGeneration(ns);
  }

  get(nexthop: FibNexthop): RouteEntry | undefined {
    return this.#madeAt === this.#generation.current ? this.#routes.get(nexthop) : undefined;
  }

  set(nexthop: FibNexthop, route: RouteEntry): void {
    if (this.#madeAt !== this.#generation.current) this.#routes.clear();
    this.#madeAt = this.#generation.current;
    this.#routes.set(nexthop, route);
  }
}

export const nexthopRoutes: (ns: NetworkNamespace) => NexthopRoutes = perNamespace(
  (ns) => new NexthopRoutes(ns),
);
