import { refuse } from "./refusal.js";

/** States by name, any case and any beginning of it; in the order of `known`. `what` is how errors call them. */
export function readStates<T extends string>(
  text: string,
  known: readonly T[],
  what: string,
): readonly T[] {
  const named = text.split(",").map((word) => {
    const found =
      word === "" ? undefined : known.find((state) => state.startsWith(word.toUpperCase()));
    if (found === undefined) throw refuse(`Bad ${what} "${word}"`);
    return found;
  });
  return known.filter((state) => named.includes(state));
}
