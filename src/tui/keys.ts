import { graphemesOf } from "./cells.js";

/** One thing that the user did. `name` is a letter, or `Enter`, `Up`, `C-d`, `S-Tab`, `F5`. */
export type InputEvent =
  | { readonly kind: "key"; readonly name: string }
  | { readonly kind: "paste"; readonly text: string }
  | {
      readonly kind: "mouse";
      readonly action: "press" | "wheel-up" | "wheel-down";
      readonly column: number;
      readonly row: number;
    };

const FINALS: Readonly<Record<string, string>> = {
  A: "Up",
  B: "Down",
  C: "Right",
  D: "Left",
  H: "Home",
  F: "End",
  P: "F1",
  Q: "F2",
  R: "F3",
  S: "F4",
  Z: "S-Tab",
  E: "Begin",
};
const TILDES: Readonly<Record<string, string>> = {
  1: "Home",
  2: "Insert",
  3: "Delete",
  4: "End",
  5: "PageUp",
  6: "PageDown",
  7: "Home",
  8: "End",
  11: "F1",
  12: "F2",
  13: "F3",
  14: "F4",
  15: "F5",
  17: "F6",
  18: "F7",
  19: "F8",
  20: "F9",
  21: "F10",
  23: "F11",
  24: "F12",
};
const PASTE_START = "\u001b[200~";
const PASTE_END = "\u001b[201~";

/** Longest paste that is kept, in UTF-16 units; the rest of it is dropped. */
const MAX_PASTE = 100_000;

/**
 * Turns what a terminal sends into events, one for each key, however the bytes are cut into reads. An escape at the end
 * of a read may be the key or the start of a sequence: `pending` says so, and `flush` decides for the key.
 */
export class KeyReader {
  #rest = "";
  #paste: string | undefined;

  get pending(): boolean {
    // What is held back of a paste waits for its end, however long that takes.
    return this.#rest !== "" && this.#paste === undefined;
  }

  feed(chunk: string): readonly InputEvent[] {
    const events: InputEvent[] = [];
    this.#rest += chunk;
    for (;;) {
      const taken = this.#paste === undefined ? this.#take(events) : this.#takePaste(events);
      if (taken === 0) return events;
      this.#rest = this.#rest.slice(taken);
    }
  }

  /** No more bytes came: an escape was the key. */
  flush(): readonly InputEvent[] {
    const rest = this.#rest;
    this.#rest = "";
    if (!rest.startsWith("\u001b")) return [];
    return [{ kind: "key", name: "Escape" }, ...this.feed(rest.slice(1))];
  }

  #take(events: InputEvent[]): number {
    const text = this.#rest;
    if (text === "") return 0;
    if (text.startsWith("\u001b")) return this.#takeEscape(text, events);
    const end = text.indexOf("\u001b");
    for (const letter of graphemesOf(end < 0 ? text : text.slice(0, end)))
      events.push({ kind: "key", name: letterName(letter) });
    return end < 0 ? text.length : end;
  }

  #takeEscape(text: string, events: InputEvent[]): number {
    if (text.startsWith(PASTE_START)) {
      this.#paste = "";
      return PASTE_START.length;
    }
    // oxlint-disable-next-line no-control-regex -- what terminals send
    const sequence = /^\u001b(?:\[([0-9;<?]*)([A-Za-z~])|O([A-Za-z]))/.exec(text);
    if (sequence !== null) {
      const event = sequenceEvent(sequence[1] ?? "", sequence[2] ?? sequence[3] ?? "");
      if (event !== undefined) events.push(event);
      return sequence[0].length;
    }
    // oxlint-disable-next-line no-control-regex -- the start of a sequence whose rest may still come
    if (/^\u001b(\[[0-9;<?]{0,30}|O)?$/.test(text)) return 0;
    if (text.startsWith("\u001b\u001b")) {
      events.push({ kind: "key", name: "Escape" });
      return 1;
    }
    const [letter = ""] = graphemesOf(text.slice(1));
    events.push({ kind: "key", name: `M-${letterName(letter)}` });
    return 1 + letter.length;
  }

  #takePaste(events: InputEvent[]): number {
    const text = this.#rest;
    const end = text.indexOf(PASTE_END);
    // The mark that ends a paste may be cut by a read.
    const keep = end >= 0 ? end : Math.max(0, text.length - PASTE_END.length + 1);
    this.#paste = ((this.#paste ?? "") + text.slice(0, keep)).slice(0, MAX_PASTE);
    if (end < 0) return keep;
    events.push({ kind: "paste", text: this.#paste });
    this.#paste = undefined;
    return end + PASTE_END.length;
  }
}

function letterName(letter: string): string {
  const code = letter.codePointAt(0) ?? 0;
  if (letter === "\r" || letter === "\n" || letter === "\r\n") return "Enter";
  if (letter === "\t") return "Tab";
  if (letter === "\u007f" || letter === "\b") return "Backspace";
  if (letter === " ") return "Space";
  if (code === 0) return "C-Space";
  return code < 0x20 ? `C-${String.fromCodePoint(code + 0x60)}` : letter;
}

function sequenceEvent(parameters: string, final: string): InputEvent | undefined {
  if (parameters.startsWith("<")) return mouseEvent(parameters.slice(1), final);
  // Focus reports.
  if (parameters === "" && (final === "I" || final === "O")) return undefined;
  const [number = "", modifier = "1"] = parameters.split(";");
  const name = final === "~" ? TILDES[number] : FINALS[final];
  if (name === undefined) return undefined;
  const bits = Number(modifier) - 1;
  const prefix = `${(bits & 4) === 0 ? "" : "C-"}${(bits & 2) === 0 ? "" : "M-"}${(bits & 1) === 0 ? "" : "S-"}`;
  return { kind: "key", name: `${prefix}${name}` };
}

function mouseEvent(parameters: string, final: string): InputEvent | undefined {
  const [button = 0, column = 1, row = 1] = parameters.split(";").map(Number);
  if (final !== "M") return undefined;
  const action =
    button === 64 ? "wheel-up" : button === 65 ? "wheel-down" : button === 0 ? "press" : undefined;
  return action === undefined ? undefined : { kind: "mouse", action, column, row };
}
