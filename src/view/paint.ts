import { OUTCOMES } from "./outcomes.js";

const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const MAGENTA = 35;
const BOLD = 1;

const MARK_COLOURS: Readonly<Record<string, number>> = {
  ok: GREEN,
  "!": RED,
  "?": YELLOW,
  "*": MAGENTA,
  "~": YELLOW,
};

const WORDS = new RegExp(
  `(?<![\\w-])(?:REPLY-)?(?:${Object.keys(OUTCOMES).join("|")})(?![\\w-])`,
  "g",
);

/** What begins a line that says what the line is. */
const LABEL =
  /^(?:WHY|NEAREST|SENDER SEES|FIX|filter:|note:|what if:|DNS)(?=\s)|^ *# WHERE .*$|^[A-Z][A-Z ()-]*(?=  |$)/;

/**
 * Colours what people read by its words and marks, so that no colour says what no word says: without the sequences it
 * is the same text. Only the named colours and bold.
 */
export function paint(text: string): string {
  return text.split("\n").map(paintLine).join("\n");
}

function paintLine(line: string): string {
  const outcome = line.replace(WORDS, (word) => sgr(colourOf(word), word));
  if (outcome !== line && !/^ *\d+ /.test(line)) return outcome;
  const row = /^( *\d+ .*?\s)(ok|[*~!?])( .*)$/.exec(outcome);
  if (row !== null) {
    const [, before = "", mark = "", after = ""] = row;
    return `${before}${sgr(MARK_COLOURS[mark] ?? BOLD, mark)}${after}`;
  }
  return outcome === line ? line.replace(LABEL, (label) => sgr(BOLD, label)) : outcome;
}

function colourOf(word: string): number {
  const name = word.replace(/^REPLY-/, "");
  return name === "UNKNOWN"
    ? YELLOW
    : name === "DELIVERED" || name === "LEFT-CLUSTER"
      ? GREEN
      : RED;
}

function sgr(code: number, text: string): string {
  return `\u001b[${code}m${text}\u001b[0m`;
}
