import { type NetworkNamespace, perNamespace } from "../core/namespace.js";

/**
 * Counts the changes that may alter a routing decision: routes, rules, addresses, devices, knobs.
 * Cached decisions of an older generation are void. Mirrors net/ipv4/route.c:rt_cache_flush() and rt_genid.
 */
export class RoutingGeneration {
  current = 0;
}

export const routingGeneration: (ns: NetworkNamespace) => RoutingGeneration = perNamespace(
  () => new RoutingGeneration(),
);

/** Voids every cached routing decision of the namespace. */
export function bumpRouting(ns: NetworkNamespace): void {
  routingGeneration(ns).current++;
}
