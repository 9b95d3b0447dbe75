/** Splits a line of a restore into words: blanks separate, double quotes keep them, a quote that is never closed loses its word. */
export function splitSetLine(line: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quoted = false;
  for (const char of line) {
    if (char === '"') quoted = !quoted;
    else if (!quoted && /[ \t\r\n]/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
    } else word += char;
  }
  if (word !== "" && !quoted) words.push(word);
  return words;
}
