import { Box, Text } from "ink";
import type { ReactNode } from "react";
import { screenRow } from "./boxes.js";
import { barLine, hintLine, titleLine } from "./chrome.js";
import { layoutOf, SMALLEST } from "./layout.js";
import { ListScreen } from "./list-screen.js";
import { Rows } from "./rows.js";
import { TraceScreen } from "./trace-screen.js";
import { currentTrace, topScreen, type UiState } from "./ui-state.js";

/** The whole screen: title, what the screen shows, the line for messages and typing, the keys. */
export function Frame({ state }: { readonly state: UiState }): ReactNode {
  const { size, palette } = state;
  const trace = currentTrace(state);
  const layout = layoutOf(
    size,
    trace === undefined || topScreen(state).kind !== "trace" ? undefined : shownAlone(state),
  );
  if (layout.kind === "none") {
    const need = `need ${SMALLEST.columns}x${SMALLEST.rows}, have ${size.columns}x${size.rows}; hopwise trace ... works at any size`;
    return <Text wrap="truncate-end">{screenRow(need, "", size.columns, palette)}</Text>;
  }
  const [left, right] = titleLine(state);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows}>
      <Rows lines={[screenRow(left, right, size.columns, palette)]} />
      {topScreen(state).kind === "trace" && trace !== undefined ? (
        <TraceScreen state={state} trace={trace} layout={layout} />
      ) : (
        <ListScreen state={state} />
      )}
      <Rows
        lines={[
          screenRow(barLine(state), "", size.columns, palette),
          screenRow(hintLine(state), "", size.columns, palette),
        ]}
      />
    </Box>
  );
}

/** The pane that fills the screen: a zoomed one, or the focused one where there is room for one alone. */
function shownAlone(
  state: UiState,
): NonNullable<ReturnType<typeof currentTrace>>["focus"] | undefined {
  const trace = currentTrace(state);
  if (trace === undefined) return undefined;
  const { kind } = layoutOf(state.size, undefined);
  return trace.zoom || kind === "single" ? trace.focus : undefined;
}
