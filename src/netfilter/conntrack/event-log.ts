import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { Connection } from "./connection.js";
import type { ExpectationEvent } from "./expectations.js";
import { toldEvent } from "./told-event.js";
import { type ConntrackTable, type TableEvent, conntrack } from "./table.js";

/** More events than this are not kept: the oldest are lost, as when a socket's buffer is full. */
const MAX_EVENTS = 100_000;

/** What happened to connections since somebody listens. Stands for the netlink groups of ctnetlink. */
export class EventLog {
  readonly #table: ConntrackTable;
  #firstId: number | undefined;
  #events: TableEvent[] = [];
  #expectationEvents: ExpectationEvent[] = [];
  /** Events that were lost since the last look. */
  lost = 0;

  constructor(table: ConntrackTable) {
    this.#table = table;
  }

  /** Whether events are kept already. */
  get isListening(): boolean {
    return this.#firstId !== undefined;
  }

  /** From now on events are kept. */
  listen(): void {
    if (this.#firstId !== undefined) return;
    this.#firstId = this.#table.nextId;
    this.#table.watch((event) => this.#keep(event));
    this.#table.expectations.watch((event) => {
      if (this.#isTold(event.expectation.master)) this.#expectationEvents.push(event);
    });
  }

  /** The events since the last call, each with its connection as it was then. */
  take(): readonly TableEvent[] {
    const events = this.#events;
    this.#events = [];
    this.lost = 0;
    return events;
  }

  takeExpectations(): readonly ExpectationEvent[] {
    const events = this.#expectationEvents;
    this.#expectationEvents = [];
    return events;
  }

  #keep(event: TableEvent): void {
    const { entry } = event;
    if (!this.#isTold(entry)) return;
    const told = toldEvent(event);
    if (told === undefined) return;
    this.#events.push({ ...told, entry: entry.frozen() });
    if (this.#events.length <= MAX_EVENTS) return;
    this.#events.shift();
    this.lost++;
  }

  /**
   * With nf_conntrack_events 2 only connections that began while somebody listened, with 0 those that a rule asked for.
   * Mirrors nf_ct_ecache_ext_add().
   */
  #isTold({ id, ext }: Connection): boolean {
    switch (this.#table.settings.events) {
      case 0:
        return ext?.eventMasks !== undefined;
      case 2:
        return id >= (this.#firstId ?? 0);
      default:
        return true;
    }
  }
}

export const eventLog: (ns: NetworkNamespace) => EventLog = perNamespace(
  (ns) => new EventLog(conntrack(ns)),
);
