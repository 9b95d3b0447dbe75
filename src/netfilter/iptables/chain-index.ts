import type { HookState } from "../../core/hooks.js";
import type { SkBuff } from "../../core/skbuff.js";
import type { Frame } from "../../wire/frame.js";
import { dimensionsOf, type Dimension, isWhole, type Key } from "./index-dimensions.js";
import type { RuleSpec } from "./rule.js";

/** The positions of some rules, in order. Most keys have one rule: that is no list, which would be two more objects to meet. */
type Positions = number | readonly number[];

/** Where the rules stand that a packet with this key may match. */
interface Buckets {
  readonly dimension: Dimension;
  readonly byKey: ReadonlyMap<Key, Positions>;
}

/**
 * A chain's rules by what a packet must have to match them. Each rule stands in one dimension: the one where the fewest
 * rules share its value, so that it comes up for few packets. A rule that no dimension knows comes up for all.
 *
 *   -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-A     destination 10.96.0.1 ──▶ 1
 *   -d 10.96.0.7/32 -p udp -m udp --dport 53 -j KUBE-SVC-B      destination 10.96.0.7 ──▶ 2
 *   -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS              always ─────────────────▶ 3
 */
export class ChainIndex {
  readonly #buckets: readonly Buckets[];
  /** What is known of a packet before its keys are looked up: a place for each dimension, and the rules that come up for all. */
  readonly #unasked: (Positions | undefined)[];

  constructor(specs: readonly RuleSpec[]) {
    const dimensions = dimensionsOf(specs);
    const maps = dimensions.map(() => new Map<Key, number | number[]>());
    const populations = dimensions.map((dimension) => populationOf(dimension, specs));
    const always: number[] = [];
    for (const [at, spec] of specs.entries()) {
      const best = mostSelective(spec, dimensions, populations);
      const map = best === undefined ? undefined : maps[dimensions.indexOf(best.dimension)];
      if (best === undefined || map === undefined) always.push(at);
      else for (const key of best.keys) addTo(map, key, at);
    }
    this.#buckets = dimensions
      .map((dimension, index) => ({ dimension, byKey: maps[index] ?? new Map<Key, Positions>() }))
      .filter(({ byKey }) => byKey.size > 0);
    this.#unasked = [...this.#buckets.map(() => undefined), always];
  }

  /** The rules that the packet may match; undefined when it must see every rule, because its headers are not whole. */
  candidates(skb: SkBuff, state: HookState): Candidates | undefined {
    if (!isWhole(skb.frame)) return undefined;
    const lists = this.#unasked.slice();
    let place = 0;
    for (const { dimension, byKey } of this.#buckets) {
      const key = dimension.keyOf(skb.frame, state);
      if (key !== undefined) lists[place] = byKey.get(key);
      place++;
    }
    return new Candidates(skb.frame, lists);
  }
}

/** One packet's rules of one chain, in order. */
export class Candidates {
  /** What was looked up: when the packet has changed since, it must be looked up again. */
  readonly frame: Frame;
  readonly #lists: readonly (Positions | undefined)[];

  constructor(frame: Frame, lists: readonly (Positions | undefined)[]) {
    this.frame = frame;
    this.#lists = lists;
  }

  /** The first of them from `from` on, or `end`. */
  next(from: number, end: number): number {
    let first = end;
    for (const list of this.#lists) {
      if (list === undefined) continue;
      const at = typeof list === "number" ? list : firstFrom(list, from);
      if (at >= from && at < first) first = at;
    }
    return first;
  }
}

/** The first position of a list from `from` on; -1 when there is none. */
function firstFrom(list: readonly number[], from: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  return list[low] ?? -1;
}

/** How many rules share each key. */
function populationOf(dimension: Dimension, specs: readonly RuleSpec[]): ReadonlyMap<Key, number> {
  const counts = new Map<Key, number>();
  for (const spec of specs)
    for (const key of dimension.keysOf(spec) ?? []) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** The dimension where the rule's keys are shared by the fewest. */
function mostSelective(
  spec: RuleSpec,
  dimensions: readonly Dimension[],
  populations: readonly ReadonlyMap<Key, number>[],
): { readonly dimension: Dimension; readonly keys: readonly Key[] } | undefined {
  let best: { readonly dimension: Dimension; readonly keys: readonly Key[] } | undefined;
  let fewest = Infinity;
  for (const [number, dimension] of dimensions.entries()) {
    const keys = dimension.keysOf(spec);
    if (keys === undefined) continue;
    const shared = Math.max(0, ...keys.map((key) => populations[number]?.get(key) ?? 0));
    if (shared >= fewest) continue;
    best = { dimension, keys };
    fewest = shared;
  }
  return best;
}

function addTo(map: Map<Key, number | number[]>, key: Key, at: number): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, at);
  else if (typeof known === "number") {
    // A rule that names a port twice stands there once.
    if (known !== at) map.set(key, [known, at]);
  } else if (known.at(-1) !== at) known.push(at);
}
