import { pairWords } from "./matrix-pane.js";
import { currentTrace, topScreen, type UiState } from "./ui-state.js";

/** What to ask the policies of, seen from the screen that is shown. */
export function questionWords(state: UiState): string | undefined {
  const screen = topScreen(state);
  if (screen.kind === "matrix") return pairWords(screen);
  const request = currentTrace(state)?.model.request;
  if (request === undefined) return undefined;
  const { source, destination, protocol } = request;
  return `${source} ${destination}${protocol === "tcp" ? "" : ` --proto ${protocol}`}`;
}
