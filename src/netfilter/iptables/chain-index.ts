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
  readonly #always: readonly number[];

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
    this.#always = always;
    this.#buckets = dimensions
      .map((dimension, index) => ({ dimension, byKey: maps[index] ?? new Map<Key, Positions>() }))
      .filter(({ byKey }) => byKey.size > 0);
  }

  /** The rules that the packet may match; undefined when it must see every rule, because its headers are not whole. */
  candidates(skb: SkBuff, state: HookState): Candidates | undefined {
    if (!isWhole(skb.frame)) return undefined;
    const lists: Positions[] = [];
    if (this.#always.length > 0) lists.push(this.#always);
    for (const { dimension, byKey } of this.#buckets) {
      const key = dimension.keyOf(skb.frame, state);
      const list = key === undefined ? undefined : byKey.get(key);
      if (list !== undefined) lists.push(list);
    }
    return new Candidates(skb.frame, lists);
  }
}

const NO_RULES: Positions = [];

/** One packet's rules of one chain, in order. */
export class Candidates {
  /** What was looked up: when the packet has changed since, it must be looked up again. */
  readonly frame: Frame;
  readonly #lists: readonly Positions[];
  readonly #positions: number[] = [];

  constructor(frame: Frame, lists: readonly Positions[]) {
    this.frame = frame;
    this.#lists = lists;
  }

  /** The first of them from `from` on, or `end`. `from` must not go back. */
  next(from: number, end: number): number {
    const lists = this.#lists;
    const positions = this.#positions;
    let first = end;
    for (let number = 0; number < lists.length; number++) {
      const list = lists[number] ?? NO_RULES;
      if (typeof list === "number") {
        if (list >= from && list < first) first = list;
        continue;
      }
      let position = positions[number] ?? 0;
      while (position < list.length && (list[position] ?? end) < from) position++;
      positions[number] = position;
      const at = list[position] ?? end;
      if (at < first) first = at;
    }
    return first;
  }
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
