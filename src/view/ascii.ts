/** What stands for a letter where only those from 0x20 to 0x7e may be printed. */
const LIKENESS: Readonly<Record<string, string>> = {
  "→": "->",
  "←": "<-",
  "…": "..",
  "·": ".",
  "–": "-",
  "—": "-",
  "×": "x",
  "±": "+-",
  "≥": ">=",
  "≤": "<=",
  µ: "u",
  "§": "s.",
  "“": '"',
  "”": '"',
  "‘": "'",
  "’": "'",
};

/** How a letter beside ASCII is written in a kind of text. */
export type AsciiStyle = "text" | "json" | "markup";

/**
 * The text in ASCII alone: what people read has a likeness of other letters, `?` where there is none; documents have the
 * same letters in the format's own writing, so that who reads them gets the same.
 */
export function asciiText(text: string, style: AsciiStyle): string {
  return text.replace(/[^\0-\x7f]/gu, (letter) => {
    switch (style) {
      case "text":
        return LIKENESS[letter] ?? "?";
      case "json":
        return letter
          .split("")
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
          .join("");
      case "markup":
        return `&#${letter.codePointAt(0)};`;
    }
  });
}
