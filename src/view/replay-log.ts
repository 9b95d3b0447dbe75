import { EventLog, type EventRange } from "../core/event-log.js";
import type { ChainRule, Recording } from "../core/recording.js";
import type { ReplayedPacket } from "../core/replay-recording.js";
import type { TraceEvent } from "../core/trace.js";
import type { FilterRow } from "./filter-fields.js";
import { changedState } from "./history.js";
import { replayFilterRow } from "./replay-filter.js";
import { flowText, replayRow, type ReplayRow } from "./replay-row.js";
import type { TraceView } from "./trace-view.js";
import { viewOf } from "./trace-view.js";

/** Views that were opened last and are kept whole. */
const KEPT = 4;

interface Entry {
  readonly row: ReplayRow;
  readonly filterRow: FilterRow;
  readonly events: EventRange;
}

/** What became of one thing that a node remembers: the packets that changed it last, and the events that say how. */
interface Memory {
  readonly entries: number[];
  readonly events: EventRange[];
}

/** How often rules of one chain counted, in the order of the replay. */
interface Hits {
  readonly entries: number[];
  readonly rules: number[];
}

/**
 * A long replay to look into: one line for each packet at hand, its events written out compactly and made into steps
 * again when it is opened. What nodes remembered before a packet, and how far rules had counted, is found from changes.
 */
export class ReplayLog {
  readonly rows: ReplayRow[] = [];
  /** Steps of all packets together. */
  steps = 0;
  /** Columns of the longest flow. */
  flowWidth = 0;
  readonly #log = new EventLog();
  readonly #past = new EventLog();
  readonly #entries: Entry[] = [];
  readonly #hits = new Map<string, Hits>();
  /** In the order in which it was learned. */
  readonly #memories = new Map<string, Memory>();
  readonly #views = new Map<number, TraceView>();

  /** Bytes that events take. */
  get size(): number {
    return this.#log.size + this.#past.size;
  }

  add(packet: ReplayedPacket): void {
    const { result } = packet;
    const recording = result.kind === "sent" ? result.recording : undefined;
    const events = recording?.events ?? [];
    const view = recording === undefined ? undefined : viewOf(recording);
    const full = replayRow(packet, view);
    const row = recording === undefined ? full : withRecording(full, { ...recording, events: [] });
    const filterRow = replayFilterRow(full, view);
    const kept =
      filterRow.recording === undefined ? undefined : { ...filterRow.recording, events: [] };
    this.#remember(events, this.#entries.length);
    this.#countHits(events, this.#entries.length);
    this.steps += view?.steps.length ?? 0;
    this.flowWidth = Math.max(this.flowWidth, flowText(packet.frame).length);
    this.rows.push(row);
    this.#entries.push({
      row,
      filterRow: { ...filterRow, recording: kept },
      events: this.#log.append(events),
    });
  }

  filterRow(index: number): FilterRow | undefined {
    return this.#entries[index]?.filterRow;
  }

  /** The first rows as filters look at them, for completion. */
  sample(): readonly FilterRow[] {
    return this.#entries.slice(0, 500).map(({ filterRow }) => filterRow);
  }

  /** The trace of one packet; undefined for one that did not go through the world. */
  view(index: number): TraceView | undefined {
    const known = this.#views.get(index);
    if (known !== undefined) return known;
    const entry = this.#entries[index];
    const recording =
      entry?.row.packet.result.kind === "sent" ? entry.row.packet.result.recording : undefined;
    if (entry === undefined || recording === undefined) return undefined;
    const view = viewOf({
      ...recording,
      events: this.#log.read(entry.events),
      earlier: () => this.#before(index),
      chain: (ns, table, chain) => this.#chainAt(index, recording, ns, table, chain),
    });
    for (const old of this.#views.keys()) {
      if (this.#views.size < KEPT) break;
      this.#views.delete(old);
    }
    this.#views.set(index, view);
    return view;
  }

  /** Keeps the last change of each memory that a packet made. */
  #remember(events: readonly TraceEvent[], entry: number): void {
    const last = new Map<string, TraceEvent>();
    for (const event of events) {
      const id = changedState(event);
      if (id !== undefined) last.set(id, event);
    }
    for (const [id, event] of last) {
      let memory = this.#memories.get(id);
      if (memory === undefined) this.#memories.set(id, (memory = { entries: [], events: [] }));
      memory.entries.push(entry);
      memory.events.push(this.#past.append([event]));
    }
  }

  /** What nodes remembered before a packet, as the events that made them do so last. */
  #before(index: number): readonly TraceEvent[] {
    return [...this.#memories.values()].flatMap(({ entries, events }) => {
      const at = entries.findLastIndex((entry) => entry < index);
      const range = events[at];
      return range === undefined ? [] : this.#past.read(range);
    });
  }

  #countHits(events: readonly TraceEvent[], entry: number): void {
    for (const event of events) {
      if (event.kind !== "rule" || !event.matched) continue;
      const key = `${event.ns} ${event.table} ${event.chain}`;
      let hits = this.#hits.get(key);
      if (hits === undefined) this.#hits.set(key, (hits = { entries: [], rules: [] }));
      hits.entries.push(entry);
      hits.rules.push(event.number);
    }
  }

  /** The rules of a chain as they stood right after a packet: the last counts, without those of later packets. */
  #chainAt(
    index: number,
    recording: Recording,
    ns: string,
    table: string,
    chain: string,
  ): readonly ChainRule[] {
    const later = new Map<number, number>();
    const { entries, rules } = this.#hits.get(`${ns} ${table} ${chain}`) ?? {
      entries: [],
      rules: [],
    };
    for (let at = entries.length - 1; at >= 0 && (entries[at] ?? 0) > index; at--) {
      const rule = rules[at] ?? 0;
      later.set(rule, (later.get(rule) ?? 0) + 1);
    }
    return recording
      .chain(ns, table, chain)
      .map((rule) => ({ ...rule, packets: rule.packets - (later.get(rule.number) ?? 0) }));
  }
}

function withRecording(row: ReplayRow, recording: Recording): ReplayRow {
  const { packet } = row;
  return packet.result.kind === "sent"
    ? { ...row, packet: { ...packet, result: { ...packet.result, recording } } }
    : row;
}
