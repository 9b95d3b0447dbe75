/** How many columns of a terminal a text takes, and how it is cut to a number of them. */

// ASCII and the lines that boxes are drawn with: one unit, one column.
const PLAIN = /^[\x20-\x7e\u2500-\u257f]*$/;
// Letters that terminals draw two columns wide (East Asian wide and fullwidth, emoji).
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u;
const INVISIBLE = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The letters of a text as a reader counts them: an accent belongs to its letter. */
export function graphemesOf(text: string): readonly string[] {
  return PLAIN.test(text) ? [...text] : [...graphemes.segment(text)].map(({ segment }) => segment);
}

export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  return graphemesOf(text).reduce((sum, letter) => sum + graphemeWidth(letter), 0);
}

function graphemeWidth(letter: string): number {
  if (INVISIBLE.test(letter)) return 0;
  return WIDE.test(letter) ? 2 : 1;
}

/** The columns `from` up to `from + width` of a text, padded with spaces; half of a wide letter becomes a space. */
export function slice(text: string, from: number, width: number): string {
  if (PLAIN.test(text)) return text.slice(from, from + width).padEnd(width);
  let column = 0;
  let result = "";
  let taken = 0;
  for (const letter of graphemesOf(text)) {
    const size = graphemeWidth(letter);
    const start = column;
    column += size;
    if (column <= from && size > 0) continue;
    if (start < from) {
      const rest = Math.min(column - from, width - taken);
      result += " ".repeat(rest);
      taken += rest;
      continue;
    }
    if (taken + size > width) break;
    result += letter;
    taken += size;
  }
  return result + " ".repeat(width - taken);
}
