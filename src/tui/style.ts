import { safeText } from "../base/safe-text.js";
import { slice, widthOf } from "./cells.js";

/** What a piece of text means. Meaning is never carried by this alone: each has a word or a mark beside it. */
export type Tone =
  | "ok"
  | "bad"
  | "unknown"
  | "changed"
  | "state"
  | "title"
  | "key"
  | "selected"
  | "found"
  | "cursor";

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly tone?: Tone | undefined;
}

export type Line = string | readonly (string | Span)[];

/** SGR codes: the 16 named colours, bold and reverse. */
const COLOURS: Readonly<Record<Tone, string>> = {
  ok: "32",
  bad: "31",
  unknown: "33",
  changed: "36",
  state: "35",
  title: "1",
  key: "1",
  selected: "7",
  found: "1;7",
  cursor: "7",
};
const WITHOUT_COLOUR: Readonly<Record<Tone, string>> = {
  ok: "",
  bad: "1",
  unknown: "1",
  changed: "1",
  state: "",
  title: "1",
  key: "1",
  selected: "7",
  found: "7",
  cursor: "7",
};

/** How lines are put on this terminal. */
export interface Palette {
  readonly colour: boolean;
  readonly ascii: boolean;
}

export function spansOf(line: Line): readonly Span[] {
  if (typeof line === "string") return [{ text: line }];
  return line.map((part) => (typeof part === "string" ? { text: part } : part));
}

export function plain(line: Line): string {
  return spansOf(line)
    .map(({ text }) => text)
    .join("");
}

/** The columns `from` up to `from + width` of a line, padded, as text with SGR codes. Controls in it are made visible. */
export function paint(line: Line, width: number, palette: Palette, from = 0): string {
  const codes = palette.colour ? COLOURS : WITHOUT_COLOUR;
  let column = -from;
  let result = "";
  for (const { text, tone } of spansOf(line)) {
    const safe = inAlphabet(safeText(text), palette);
    const size = widthOf(safe);
    const start = Math.max(0, -column);
    const room = width - Math.max(0, column);
    const piece =
      start >= size || room <= 0 ? "" : slice(safe, start, Math.min(size - start, room));
    column += size;
    if (piece === "") continue;
    const code = tone === undefined ? "" : codes[tone];
    result += code === "" ? piece : `\u001b[${code}m${piece}\u001b[0m`;
  }
  return result + " ".repeat(Math.max(0, width - Math.max(0, column)));
}

const ASCII: Readonly<Record<string, string>> = {
  "─": "-",
  "│": "|",
  "┌": "+",
  "┐": "+",
  "└": "+",
  "┘": "+",
  "├": "+",
  "┤": "+",
  "┬": "+",
  "┴": "+",
  "┼": "+",
  "═": "=",
  "║": "#",
  "╔": "#",
  "╗": "#",
  "╚": "#",
  "╝": "#",
  "╦": "+",
  "╩": "+",
  "→": ">",
  "←": "<",
  "↑": "^",
  "↓": "v",
  "·": ".",
  "…": ".",
  "–": "-",
  "—": "-",
  "±": "+",
  µ: "u",
};

/** With --ascii every letter is one of 0x20 to 0x7e: what has no likeness becomes `?`. */
function inAlphabet(text: string, { ascii }: Palette): string {
  if (!ascii || /^[\x20-\x7e]*$/.test(text)) return text;
  return [...text]
    .map((letter) => (letter >= " " && letter <= "~" ? letter : (ASCII[letter] ?? "?")))
    .join("");
}

/** Cuts between words, so that no address or name is cut in two; `..` says that something is missing. */
export function cutWords(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  const words = text.split(" ");
  while (words.length > 1 && widthOf(`${words.join(" ")} ..`) > width) words.pop();
  return words.length > 1 ? `${words.join(" ")} ..` : `${text.slice(0, Math.max(0, width - 2))}..`;
}

/** Breaks a text between words into lines of at most `width` columns; a word that is wider stands alone. */
export function wrap(text: string, width: number, indent = ""): readonly string[] {
  const lead = /^ */.exec(text)?.[0] ?? "";
  const lines: string[] = [];
  let line = "";
  for (const word of text.slice(lead.length).split(" ")) {
    if (line === "") line = (lines.length === 0 ? lead : indent) + word;
    else if (widthOf(`${line} ${word}`) <= width) line = `${line} ${word}`;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  return [...lines, line];
}
