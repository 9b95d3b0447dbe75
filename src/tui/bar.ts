import type { BarKind, UiState } from "./ui-state.js";
import { currentTrace } from "./ui-state.js";

/** Opens the line at the bottom, with a text to start from. */
export function openBar(state: UiState, kind: BarKind, text?: string): UiState {
  const start = text ?? (kind === "filter" ? (currentTrace(state)?.filter?.text ?? "") : "");
  return {
    ...state,
    message: undefined,
    bar: {
      kind,
      text: start,
      cursor: start.length,
      markOnly: currentTrace(state)?.markOnly ?? false,
      mistake: undefined,
      recalled: undefined,
    },
  };
}
