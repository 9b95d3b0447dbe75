import { randomBetween, seededRandom } from "../../base/random.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";

/** Ids of packets that are cut, 1..2^32-1: chance, as the kernel's are. Mirrors net/ipv6/output_core.c:ipv6_select_ident(). */
const idsOf: (ns: NetworkNamespace) => { readonly next: () => number } = perNamespace((ns) => {
  const random = seededRandom(randomBetween(ns.sim.random, 0, 0xffff_ffff));
  return { next: () => randomBetween(random, 1, 0xffff_ffff) };
});

export function nextFragmentId(ns: NetworkNamespace): number {
  return idsOf(ns).next();
}
