import type { ReactNode } from "react";
import { paneRows } from "./boxes.js";
import { listContent } from "./list-content.js";
import { Rows } from "./rows.js";
import { topScreen, type UiState } from "./ui-state.js";

/** A screen that is one list or text in one pane. */
export function ListScreen({ state }: { readonly state: UiState }): ReactNode {
  const { columns, rows } = state.size;
  return (
    <Rows
      lines={paneRows(
        listContent(state, topScreen(state), columns - 4, rows - 5),
        columns,
        rows - 3,
        state.palette,
      )}
    />
  );
}
