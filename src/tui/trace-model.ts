import { formatIpv4 } from "../wire/ip.js";
import { encodeFrame, type Frame } from "../wire/frame.js";
import type { TraceRequest } from "../lab/trace.js";
import { type HeaderRow, headerRows } from "../view/bytes.js";
import { type ChainView, chainAt } from "../view/chain-view.js";
import { type Hop, pathOf } from "../view/path.js";
import type { FilterRow } from "../view/filter-fields.js";
import type { PacketEvent } from "../view/follow.js";
import { History, type StateEntry } from "../view/history.js";
import type { Step } from "../view/steps.js";
import type { TraceView } from "../view/trace-view.js";
import type { Sources } from "./sources.js";

/** What nodes remember around a step. */
export interface StateAt {
  readonly changed: readonly StateEntry[];
  readonly all: readonly StateEntry[];
  /** What this trace changed so far: `conntrack 3`. */
  readonly sinceStart: ReadonlySet<string>;
}

/** Columns of the step list in letters. */
export interface Widths {
  readonly number: number;
  readonly ns: number;
  readonly dev: number;
  readonly where: number;
  readonly hook: number;
  readonly step: number;
}

/** A trace as screens look at it: each question about a step is answered once and kept. */
export class TraceModel {
  readonly name: string;
  readonly view: TraceView;
  readonly sources: Sources;
  /** How to run it again; undefined for a packet picked out of another trace. */
  readonly request: TraceRequest | undefined;
  readonly path: readonly Hop[];
  readonly #history: History;
  readonly #headers = new Map<number, readonly HeaderRow[]>();
  readonly #chains = new Map<number, ChainView | undefined>();
  #rows: readonly FilterRow[] | undefined;
  #widths: Widths | undefined;

  constructor(name: string, view: TraceView, sources: Sources, request: TraceRequest | undefined) {
    this.name = name;
    this.view = view;
    this.sources = sources;
    this.request = request;
    this.path = pathOf(view);
    this.#history = new History(view.recording);
  }

  get steps(): readonly Step[] {
    return this.view.steps;
  }

  /** How wide the columns of the step list want to be, over all steps. */
  get widths(): Widths {
    this.#widths ??= widthsOf(this.steps);
    return this.#widths;
  }

  /** Each step with the packet before it, as filters look at it. */
  get rows(): readonly FilterRow[] {
    this.#rows ??= this.steps.map((step, index) => ({
      step,
      before: this.before(index),
      recording: this.view.recording,
    }));
    return this.#rows;
  }

  /** Which step decided what became of the packet. */
  get deciding(): number | undefined {
    const { deciding } = this.view.verdict;
    const index = this.steps.findIndex(({ event }) => event === deciding);
    return index < 0 ? undefined : index;
  }

  /** The packet as a step found it. */
  before(index: number): Frame {
    const step = this.steps[index];
    const previous = this.steps[index - 1];
    if (step === undefined) throw new Error(`no step at ${index}`);
    return previous !== undefined && previous.leg === step.leg
      ? previous.frame
      : this.#bornFrame(step);
  }

  headers(index: number): readonly HeaderRow[] {
    const known = this.#headers.get(index);
    if (known !== undefined) return known;
    const step = this.steps[index];
    const rows = step === undefined ? [] : headerRows(this.before(index), step.frame);
    keep(this.#headers, index, rows);
    return rows;
  }

  bytes(index: number): { readonly before: Uint8Array; readonly after: Uint8Array } {
    const step = this.steps[index];
    if (step === undefined) return { before: new Uint8Array(0), after: new Uint8Array(0) };
    return { before: encodeFrame(this.before(index)), after: encodeFrame(step.frame) };
  }

  /** The chain that the step's rule stands in; undefined for a step that is no rule. */
  chain(index: number): ChainView | undefined {
    if (this.#chains.has(index)) return this.#chains.get(index);
    const step = this.steps[index];
    const chain =
      step === undefined
        ? undefined
        : chainAt(this.view.recording, this.#legEvents(step), step.event);
    keep(this.#chains, index, chain);
    return chain;
  }

  /** What the step's node remembers right after it. */
  state(index: number): StateAt {
    const step = this.steps[index];
    if (step === undefined) return { changed: [], all: [], sinceStart: new Set() };
    const moment = this.#moment(index);
    const before = index === 0 ? this.#lookupEnd() : this.#moment(index - 1);
    return {
      changed: this.#history.changes(step.ns, before, moment),
      all: this.#history.at(step.ns, moment),
      sinceStart: new Set(
        this.#history
          .changes(step.ns, this.#lookupEnd(), moment)
          .map(({ kind, key }) => `${kind} ${key}`),
      ),
    };
  }

  /** What an address is called: `shop/api-1`. */
  nameOf(address: string): string | undefined {
    return this.view.recording.names.get(address);
  }

  /** `10.244.1.5` of the sender and receiver, as the first packet had them. */
  get sourceAddress(): string {
    const network = this.steps[0]?.frame.network;
    return network?.kind === "ipv4"
      ? formatIpv4(network.source)
      : this.view.recording.request.sourceAddress;
  }

  #legEvents(step: Step): readonly PacketEvent[] {
    const { out, back } = this.view.conversation;
    return (step.leg === "out" ? out : back)?.events ?? [];
  }

  /** Events up to the next step's own belong to this one, as far as they are about this packet. */
  #moment(index: number): number {
    const step = this.steps[index];
    if (step === undefined) return this.#history.length - 1;
    const events = this.#legEvents(step);
    const next = this.steps[index + 1];
    const from = events.indexOf(step.event);
    const to =
      next !== undefined && next.leg === step.leg ? events.indexOf(next.event) : events.length;
    const last = events[Math.max(from, to - 1)] ?? step.event;
    return this.#history.momentOf(last) ?? this.#history.length - 1;
  }

  #lookupEnd(): number {
    return this.view.recording.lookupEvents.length - 1;
  }

  #bornFrame(step: Step): Frame {
    return this.#legEvents(step)[0]?.frame ?? step.frame;
  }
}

/** How many answers are kept: a long chain for each of thousands of steps would be too much. */
const KEPT = 8;

function keep<T>(answers: Map<number, T>, index: number, answer: T): void {
  for (const old of answers.keys()) {
    if (answers.size < KEPT) break;
    answers.delete(old);
  }
  answers.set(index, answer);
}

function widthsOf(steps: readonly Step[]): Widths {
  const most = (measure: (step: Step) => number): number =>
    steps.reduce((widest, step) => Math.max(widest, measure(step)), 0);
  return {
    number: String(steps.length).length,
    ns: most(({ ns }) => ns.length),
    dev: most(({ dev }) => dev?.length ?? 0),
    where: most(({ ns, dev }) => ns.length + (dev === undefined ? 0 : dev.length + 1)),
    hook: most(({ hook }) => hook?.length ?? 0),
    step: most(({ step }) => step.length),
  };
}
