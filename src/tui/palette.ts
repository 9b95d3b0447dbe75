import { type Binding, BINDINGS } from "./key-table.js";

/** Commands whose words hold the letters typed, in order; the closest ones first. */
export function matchesPalette(query: string): readonly Binding[] {
  const letters = query.toLowerCase().replaceAll(" ", "");
  const scored = BINDINGS.flatMap((binding) => {
    const score = closeness(binding.label.toLowerCase(), letters);
    return score === undefined ? [] : [{ binding, score }];
  });
  return scored.toSorted((a, b) => a.score - b.score).map(({ binding }) => binding);
}

/** How far apart the letters stand in the text; undefined when they are not all there. */
function closeness(text: string, letters: string): number | undefined {
  let at = -1;
  let apart = 0;
  for (const letter of letters) {
    const next = text.indexOf(letter, at + 1);
    if (next < 0) return undefined;
    apart += at < 0 ? next : (next - at - 1) * 2;
    at = next;
  }
  return apart;
}
