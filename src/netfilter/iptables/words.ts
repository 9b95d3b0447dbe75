import { refuse } from "./refusal.js";

/** One word of a line after quotes and escapes were taken away. */
export interface Word {
  readonly text: string;
  /** Where it starts in its line, from 1. */
  readonly column: number;
  /** How many columns it takes there, quotes included. */
  readonly length: number;
  readonly quoted: boolean;
}

/** iptables' MAX_ARGC and the size of its word buffer. */
const MAX_WORDS = 255;
const MAX_WORD_LENGTH = 1023;

/**
 * Splits a restore line into words. Mirrors iptables/xshared.c:add_param_to_argv(): only `"` quotes, a closing quote
 * ends the word, `\` escapes inside quotes alone, an open quote takes the rest of the line with its newline.
 * `line` has no newline at its end; `from` is the index where the rule starts.
 */
export function splitWords(line: string, from = 0): readonly Word[] {
  const words: Word[] = [];
  let text = "";
  let start = -1;
  let quoted = false;
  let open = false;
  const end = (at: number): void => {
    if (words.length >= MAX_WORDS)
      throw refuse("Parser cannot handle more arguments\n", { code: "LIMIT_WORDS" });
    words.push({ text, column: start + 1, length: Math.max(1, at - start), quoted });
    text = "";
    start = -1;
    quoted = false;
  };
  const full = `${line}\n`;
  for (let index = from; index < full.length; index++) {
    const char = full[index] ?? "";
    if (open && char === "\\") {
      text += full[++index] ?? "";
    } else if (open && char !== '"') {
      text += char;
    } else if (open) {
      open = false;
      end(index + 1);
    } else if (char === '"') {
      open = true;
      quoted = true;
      if (start < 0) start = index;
    } else if (char === " " || char === "\t" || char === "\n") {
      if (text !== "") end(index);
    } else {
      if (start < 0) start = index;
      text += char;
    }
    if (text.length > MAX_WORD_LENGTH)
      throw refuse("Parameter too long!\n", { code: "LIMIT_WORDS" });
  }
  if (text !== "") {
    quoted = false;
    end(full.length);
  }
  return words;
}

/** A shell's arguments as words, placed as if they were typed with one blank between. */
export function wordsOfArguments(args: readonly string[]): readonly Word[] {
  let column = 1;
  return args.map((text) => {
    const word = { text, column, length: Math.max(1, text.length), quoted: false };
    column += text.length + 1;
    return word;
  });
}

/** How save prints a free text: bare when harmless, else in double quotes. Mirrors libxtables/xtables.c:xtables_save_string(). */
export function quoteText(text: string): string {
  if (text !== "" && /^[0-9A-Za-z_-]+$/.test(text)) return text;
  return `"${text.replace(/["\\']/g, (char) => `\\${char}`)}"`;
}
