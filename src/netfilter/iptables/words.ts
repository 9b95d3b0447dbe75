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
  let at = from;
  while (at < line.length) {
    const char = line[at];
    if (char === " " || char === "\t") at++;
    else at = takeWord(line, at, words);
    if (words.length > MAX_WORDS)
      throw refuse("Parser cannot handle more arguments\n", { code: "LIMIT_WORDS" });
  }
  return words;
}

/** Reads the word that starts at `start`; the index behind it. */
function takeWord(line: string, start: number, words: Word[]): number {
  let end = start;
  while (end < line.length && !isSpecial(line.charCodeAt(end))) end++;
  if (line[end] === '"') return takeQuoted(line, start, end, words);
  addWord(
    { text: line.slice(start, end), column: start + 1, length: end - start, quoted: false },
    words,
  );
  return end;
}

/** A word with a quote at `quote`: what stands before it belongs to it, and the closing quote ends it. */
function takeQuoted(line: string, start: number, quote: number, words: Word[]): number {
  let text = line.slice(start, quote);
  let from = quote + 1;
  for (let at = from; at < line.length; at++) {
    if (line[at] === '"') {
      addWord(
        {
          text: text + line.slice(from, at),
          column: start + 1,
          length: at + 1 - start,
          quoted: true,
        },
        words,
      );
      return at + 1;
    }
    if (line[at] !== "\\") continue;
    text += line.slice(from, at);
    from = ++at;
  }
  // The quote stays open: the newline belongs to the word, unless a backslash before it eats it too.
  addWord(
    {
      text: `${text}${line.slice(from)}\n`,
      column: start + 1,
      length: line.length - start,
      quoted: false,
    },
    words,
  );
  return line.length;
}

function addWord(word: Word, words: Word[]): void {
  if (word.text.length > MAX_WORD_LENGTH)
    throw refuse("Parameter too long!\n", { code: "LIMIT_WORDS" });
  words.push(word);
}

/** A blank, a tab or a quote. */
function isSpecial(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x22;
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
