import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE } from "js-yaml";
import type { Place, UserErrorDetails } from "../../base/errors.js";

/** A way into a document: `["spec", "ports", 0, "port"]`. */
export type FieldPath = readonly (string | number)[];

/** A line beyond this length is not shown: a whole dump in one line, with Secrets beside what is wrong. */
const LONGEST_LINE = 2_000;

/** A stretch of the text, in UTF-16 units. */
interface Span {
  readonly start: number;
  readonly length: number;
}

interface Index {
  readonly events: readonly Event[];
  /** For each event that opens something, the index after its end. */
  readonly after: readonly number[];
  /** The first event inside each document; 0 where a document is empty. */
  readonly documents: readonly number[];
}

/**
 * One YAML or JSON text and where its fields stand. Nothing is looked up before somebody asks: a big dump without
 * mistakes is never indexed. JSON is read as the YAML that it is.
 */
export class SourceText {
  readonly file: string;
  readonly text: string;
  #lineStarts: readonly number[] | undefined;
  #index: Index | undefined;
  readonly #items = new Map<number, readonly number[]>();

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  /** The file's name stands for the text wherever origins are written out: a text may hold Secrets. */
  toJSON(): string {
    return this.file;
  }

  /** The place of an offset, in UTF-16 units from the start of the text. */
  placeAt(offset: number): Place {
    const starts = this.#starts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  }

  /** A line as the user wrote it; counts from 1. */
  line(number: number): string {
    const starts = this.#starts();
    const start = starts[number - 1] ?? this.text.length;
    return this.text.slice(start, starts[number] ?? this.text.length).replace(/\r?\n$/, "");
  }

  /** What an error says about a field: the key's place, or the value's. A path that leads nowhere stops at the last part that exists. */
  details(document: number, path: FieldPath, at: "key" | "value"): UserErrorDetails {
    return this.detailsOf(this.#find(document, path, at));
  }

  detailsOf({ start, length }: Span): UserErrorDetails {
    const place = this.placeAt(start);
    const starts = this.#starts();
    const width = (starts[place.line] ?? this.text.length) - (starts[place.line - 1] ?? 0);
    const shown = width > LONGEST_LINE ? {} : { sourceLine: this.line(place.line) };
    return { place, ...shown, length: Math.max(1, length) };
  }

  #starts(): readonly number[] {
    if (this.#lineStarts === undefined) {
      const starts = [0];
      for (let at = this.text.indexOf("\n"); at >= 0; at = this.text.indexOf("\n", at + 1))
        starts.push(at + 1);
      this.#lineStarts = starts;
    }
    return this.#lineStarts;
  }

  #find(document: number, path: FieldPath, at: "key" | "value"): Span {
    const index = this.#indexed();
    const { events } = index;
    let node = index.documents[document] ?? 0;
    let found = this.#span(events[node]);
    for (const [depth, part] of path.entries()) {
      const last = depth === path.length - 1;
      const child =
        typeof part === "number" ? this.#item(index, node, part) : this.#entry(index, node, part);
      if (child === undefined) break;
      found = this.#span(events[last && at === "value" ? child.value : child.key]);
      if (last && at === "value" && found.length === 0) found = this.#span(events[child.key]);
      node = child.value;
    }
    return found;
  }

  /** The key and value events of a mapping's entry. */
  #entry(
    index: Index,
    node: number,
    key: string,
  ): { readonly key: number; readonly value: number } | undefined {
    const { events, after } = index;
    if (events[node]?.type !== EVENT_ID.MAPPING) return undefined;
    const end = (after[node] ?? 0) - 1;
    for (let at = node + 1; at < end;) {
      const value = after[at] ?? end;
      const event = events[at];
      if (event?.type === EVENT_ID.SCALAR && getScalarValue(this.text, event) === key)
        return { key: at, value };
      at = after[value] ?? end;
    }
    return undefined;
  }

  /** An item of a sequence. Where items begin is remembered: dumps are long lists. */
  #item(
    index: Index,
    node: number,
    number: number,
  ): { readonly key: number; readonly value: number } | undefined {
    const { events, after } = index;
    if (events[node]?.type !== EVENT_ID.SEQUENCE) return undefined;
    let starts = this.#items.get(node);
    if (starts === undefined) {
      const list: number[] = [];
      const end = (after[node] ?? 0) - 1;
      for (let at = node + 1; at < end; at = after[at] ?? end) list.push(at);
      starts = list;
      this.#items.set(node, starts);
    }
    const start = starts[number];
    return start === undefined ? undefined : { key: start, value: start };
  }

  #span(event: Event | undefined): Span {
    switch (event?.type) {
      case EVENT_ID.MAPPING:
      case EVENT_ID.SEQUENCE:
        return { start: event.start, length: 1 };
      case EVENT_ID.ALIAS:
        return { start: event.anchorStart - 1, length: event.anchorEnd - event.anchorStart + 1 };
      case EVENT_ID.SCALAR: {
        if (event.valueStart < 0) return { start: 0, length: 0 };
        const quoted =
          event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED
            ? 1
            : 0;
        const start = event.valueStart - quoted;
        const end = event.valueEnd + quoted;
        const line = this.text.slice(start, end).indexOf("\n");
        return { start, length: line < 0 ? end - start : line };
      }
      default:
        return { start: 0, length: 1 };
    }
  }

  #indexed(): Index {
    this.#index ??= indexEvents(parseEvents(this.text, { maxDepth: 1_000 }));
    return this.#index;
  }
}

function indexEvents(events: readonly Event[]): Index {
  const after: number[] = [];
  const documents: number[] = [];
  const open: number[] = [];
  for (const [at, event] of events.entries()) {
    after.push(at + 1);
    if (event.type === EVENT_ID.POP) {
      const opened = open.pop();
      if (opened !== undefined) after[opened] = at + 1;
    } else if (event.type !== EVENT_ID.SCALAR && event.type !== EVENT_ID.ALIAS) {
      open.push(at);
      if (event.type === EVENT_ID.DOCUMENT) documents.push(at + 1);
    }
  }
  return { events, after, documents };
}
