import { WORDS } from "./command-line.js";
import type { Command } from "./key-table.js";
import type { UiState } from "./ui-state.js";

/** One thing that can be done, with its key or its word. */
export interface PaletteEntry {
  /** `Ctrl-y`, `:matrix`. */
  readonly shown: string;
  readonly label: string;
  readonly act:
    | { readonly kind: "command"; readonly command: Command }
    /** A line for the command line: it runs, or waits for what it needs. */
    | { readonly kind: "line"; readonly text: string; readonly complete: boolean };
}

/** What can be done on the screen below whose words hold the letters typed, in order; the closest ones first. */
export function matchesPalette(state: UiState): readonly PaletteEntry[] {
  const letters = (state.bar?.text ?? "").toLowerCase().replaceAll(" ", "");
  const scored = entries(state).flatMap((entry) => {
    const scores = [entry.label, `${entry.shown} ${entry.label}`].flatMap(
      (text) => closeness(text.toLowerCase(), letters) ?? [],
    );
    return scores.length === 0 ? [] : [{ entry, score: Math.min(...scores) }];
  });
  return scored.toSorted((a, b) => a.score - b.score).map(({ entry }) => entry);
}

function entries({ keys, screens }: UiState): readonly PaletteEntry[] {
  const below = screens.findLast(({ kind }) => kind !== "palette")?.kind ?? "trace";
  const bound = keys
    .filter((binding) => binding.screens.includes(below))
    .map(({ shown, label, command }): PaletteEntry => {
      return { shown, label, act: { kind: "command", command } };
    });
  const lines = WORDS.map(({ word, args, label }): PaletteEntry => {
    const complete = args === "" || args.startsWith("[");
    return {
      shown: `:${word}`,
      label: args === "" ? label : `${label}  ${args}`,
      act: { kind: "line", text: complete ? word : `${word} `, complete },
    };
  });
  return [...bound, ...lines];
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
