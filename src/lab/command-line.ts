import { UserError, type UserErrorDetails } from "../base/errors.js";

/**
 * Splits a command line into words as a shell does with quotes and backslashes, without any expansion:
 * a `$`, a backquote or an unquoted `;`, `|`, `&`, `<`, `>` is refused, so that a real shell reads the same words.
 */
export function splitCommandLine(line: string, details: UserErrorDetails): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  const refuse = (message: string): never => {
    throw new UserError("COMMAND_SYNTAX", message, details);
  };
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else if (char === "\\" && quote === '"') word = (word ?? "") + line.charAt(++at);
      else word = (word ?? "") + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (/[;|&<>$`]/.test(char)) {
      refuse(`"${char}" is not understood in a lab's command: one plain command a line`);
    } else if (char === "\\") {
      word = (word ?? "") + line.charAt(++at);
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== undefined) refuse(`a quote (${quote}) is opened and never closed`);
  if (word !== undefined) words.push(word);
  if (words.length === 0) refuse("the command is empty");
  return words;
}

/** A word as a POSIX shell reads it back unchanged. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./!-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
