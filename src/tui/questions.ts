import { pairWords } from "./matrix-pane.js";
import { commandLineOf } from "./request-words.js";
import { currentTrace, currentWorld, isWhatIf, topScreen, type UiState } from "./ui-state.js";

/** What to ask the policies of, seen from the screen that is shown. */
export function questionWords(state: UiState): string | undefined {
  const screen = topScreen(state);
  if (screen.kind === "matrix") return pairWords(screen);
  const request = currentTrace(state)?.model.request;
  if (request === undefined) return undefined;
  const { source, destination, protocol } = request;
  return `${source} ${destination}${protocol === "tcp" ? "" : ` --proto ${protocol}`}`;
}

/** The command line that shows the same as the screen; undefined where none does: a world that was only tried out. */
export function sameCommand(state: UiState): string | undefined {
  const open = currentWorld(state);
  if (open === undefined || isWhatIf(open)) return undefined;
  const screen = topScreen(state);
  const request = currentTrace(state)?.model.request;
  switch (screen.kind) {
    case "trace":
      return request === undefined
        ? undefined
        : `hopwise trace ${commandLineOf(request)} -w ${open.name}`;
    case "why":
      return `hopwise why ${screen.words ?? ""} -w ${open.name}`;
    case "matrix": {
      const other = screen.other === undefined ? "" : ` --diff ${screen.other.name}`;
      return `hopwise matrix -w ${open.name}${other}`;
    }
    case "table":
      return `hopwise show ${screen.show}${screen.name === undefined ? "" : ` ${screen.name}`} -w ${open.name}`;
    case "world":
      return `hopwise check ${open.name}`;
    default:
      return undefined;
  }
}
