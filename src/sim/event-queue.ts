import { Heap } from "../base/heap.js";
import { later, type Micros } from "./time.js";

/** A queued action that may still be taken back. */
export interface Timer {
  readonly at: Micros;
  readonly label: string;
  cancel(): void;
}

interface Entry extends Timer {
  readonly order: number;
  readonly background: boolean;
  action: (() => void) | undefined;
}

/** The only clock there is: what is due next runs next, equal times in the order they were queued. */
export class EventQueue {
  readonly #heap = new Heap<Entry>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  /** What comes before all that is due, in the order it was handed in, from `#soonFrom` on. */
  #soon: (() => void)[] = [];
  #soonFrom = 0;
  #runsSoon = false;
  #now = 0 as Micros;
  #order = 0;
  /** Living entries that are not of the background. */
  #foreground = 0;

  /** The simulated instant. */
  get now(): Micros {
    return this.#now;
  }

  /** When the next action is due; undefined when nothing waits. */
  get nextAt(): Micros | undefined {
    return this.hasSoon ? this.#now : this.#live()?.at;
  }

  /** Whether something waits that comes before all that is due. */
  get hasSoon(): boolean {
    return this.#soonFrom < this.#soon.length;
  }

  /** Whether an action that `soon` queued is running now. */
  get runsSoon(): boolean {
    return this.#runsSoon;
  }

  /** Whether nothing waits but what comes again and again by itself. */
  get isIdle(): boolean {
    return this.#foreground === 0 && !this.hasSoon;
  }

  /** As `after`, for something that never ends, such as a bridge's hello: it keeps nobody from being idle. */
  afterInBackground(delay: Micros, label: string, action: () => void): Timer {
    return this.#queue(delay, label, action, true);
  }

  /** Queues an action `delay` from now. `label` says what it is, for `--step` and for limits that are hit. */
  after(delay: Micros, label: string, action: () => void): Timer {
    return this.#queue(delay, label, action, false);
  }

  /** Queues an action for this instant, before all that is due by then. */
  soon(action: () => void): void {
    this.#soon.push(action);
  }

  /** Runs the first action that `soon` queued; false when none waits. */
  runSoon(): boolean {
    const action = this.#soon[this.#soonFrom];
    if (action === undefined) return false;
    this.#soonFrom++;
    if (this.#soonFrom === this.#soon.length) {
      this.#soon = [];
      this.#soonFrom = 0;
    }
    this.#runsSoon = true;
    try {
      action();
    } finally {
      this.#runsSoon = false;
    }
    return true;
  }

  #queue(delay: Micros, label: string, action: () => void, background: boolean): Timer {
    if (!background) this.#foreground++;
    const forget = (): void => this.#forget(entry);
    const entry: Entry = {
      background,
      at: later(this.#now, delay),
      label,
      order: this.#order++,
      action,
      cancel: forget,
    };
    this.#heap.push(entry);
    return entry;
  }

  /** Runs the next action and moves the clock to it; false when nothing waits. */
  step(): boolean {
    if (this.runSoon()) return true;
    const entry = this.#live();
    if (entry === undefined) return false;
    this.#heap.pop();
    this.#now = entry.at;
    const { action } = entry;
    this.#forget(entry);
    action?.();
    return true;
  }

  #forget(entry: Entry): void {
    if (entry.action !== undefined && !entry.background) this.#foreground--;
    entry.action = undefined;
  }

  /** Moves the clock forward over a time in which nothing is due. Never moves back. */
  advanceTo(instant: Micros): void {
    if (instant > this.#now) this.#now = instant;
  }

  /** The first entry that was not cancelled; cancelled ones before it are thrown away. */
  #live(): Entry | undefined {
    for (;;) {
      const entry = this.#heap.peek();
      if (entry === undefined || entry.action !== undefined) return entry;
      this.#heap.pop();
    }
  }
}
