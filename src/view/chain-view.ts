import type { Place } from "../base/errors.js";
import type { ChainRule, Recording } from "../core/recording.js";
import type { RuleEvent } from "../core/trace.js";
import type { PacketEvent } from "./follow.js";

/** A rule of a chain as one packet met it, at one moment. */
export interface ChainRow {
  readonly number: number;
  readonly text: string;
  readonly place: Place | undefined;
  readonly verdict: "match" | "no match" | "not reached";
  /** Why it did not match: the failing test and the packet's value. */
  readonly failed: string | undefined;
  /** Packets counted before the step and after it; equal where the step did not count. */
  readonly packets: readonly [number, number];
  /** The rule of the step itself. */
  readonly here: boolean;
}

/** A chain that a packet walked through, with the calls that led to it. */
export interface ChainView {
  readonly ns: string;
  readonly table: string;
  readonly chain: string;
  /** How many rules it has. */
  readonly count: number;
  /** The place of the step's own rule, from 0; undefined for a step that is its policy. */
  readonly here: number | undefined;
  /** `PREROUTING[1]`, outermost first. */
  readonly calls: readonly string[];
  /** Its rows from one place up to before another: a chain may have more than anybody looks at. */
  readonly rows: (from: number, to: number) => readonly ChainRow[];
}

/**
 * The chain that `event` belongs to. `legEvents` are the packet's own events; counters are those of the moments right
 * before and right after the step, found from the end of the run backwards.
 */
export function chainAt(
  recording: Recording,
  legEvents: readonly PacketEvent[],
  event: PacketEvent,
): ChainView | undefined {
  if (event.kind !== "rule" && event.kind !== "policy") return undefined;
  const { ns, table, chain } = event;
  const rules = recording.chain(ns, table, chain, event.engine);
  return {
    ns,
    table,
    chain,
    count: rules.length,
    here: event.kind === "rule" && event.number <= rules.length ? event.number - 1 : undefined,
    calls: callsTo(legEvents, event),
    rows: (from, to) => {
      const met = metBy(legEvents, event, from, to);
      const later = countsAfter(recording, event);
      return rules.slice(from, to).map((rule) => rowOf(rule, event, met, later));
    },
  };
}

type Walked = Extract<PacketEvent, { kind: "rule" | "policy" }>;

function rowOf(
  rule: ChainRule,
  event: Walked,
  visited: ReadonlyMap<number, RuleEvent>,
  later: ReadonlyMap<number, number>,
): ChainRow {
  const met = visited.get(rule.number);
  const here = event.kind === "rule" && event.number === rule.number;
  const reached = met !== undefined && (event.kind === "policy" || rule.number <= event.number);
  const after = rule.packets - (later.get(rule.number) ?? 0);
  return {
    number: rule.number,
    text: rule.text,
    place: rule.place,
    verdict: !reached ? "not reached" : met.matched ? "match" : "no match",
    failed: reached ? met.failed : undefined,
    packets: [here && event.kind === "rule" && event.matched ? after - 1 : after, after],
    here,
  };
}

function sameWalk(other: Walked, event: Walked): boolean {
  return other.hook === event.hook && other.table === event.table && other.ns === event.ns;
}

/** The rules that this visit of the chain looked at, those between two places. */
function metBy(
  events: readonly PacketEvent[],
  event: Walked,
  from: number,
  to: number,
): ReadonlyMap<number, RuleEvent> {
  const met = new Map<number, RuleEvent>();
  for (const other of events) {
    if (other.kind === "rule" && other.chain === event.chain && sameWalk(other, event)) {
      if (other.number === 1) met.clear();
      if (other.number > from && other.number <= to) met.set(other.number, other);
    }
    if (other === event) break;
  }
  return met;
}

/** The jumps that led to this visit. */
function callsTo(events: readonly PacketEvent[], event: Walked): readonly string[] {
  let calls: RuleEvent[] = [];
  for (const other of events) {
    if (other.kind !== "rule" && other.kind !== "policy") continue;
    if (!sameWalk(other, event)) {
      if (other.kind === "rule") calls = [];
      continue;
    }
    // A packet comes back to a chain when the one it called has ended.
    while (calls.length > 0 && calls.at(-1)?.outcome !== other.chain) calls.pop();
    if (other === event) break;
    if (
      other.kind === "rule" &&
      other.matched &&
      (other.effect === "jump" || other.effect === "goto")
    )
      calls.push(other);
  }
  return calls.map(({ chain, number }) => `${chain}[${number}]`);
}

/** How often each rule of a chain counted after an event. */
function countsAfter({ events }: Recording, event: Walked): ReadonlyMap<number, number> {
  const { ns, table, chain } = event;
  const counts = new Map<number, number>();
  for (let index = events.length - 1; index >= 0; index--) {
    const other = events[index];
    if (other === event) break;
    if (
      other?.kind !== "rule" ||
      !other.matched ||
      other.ns !== ns ||
      other.table !== table ||
      other.chain !== chain
    )
      continue;
    counts.set(other.number, (counts.get(other.number) ?? 0) + other.counter[1] - other.counter[0]);
  }
  return counts;
}
