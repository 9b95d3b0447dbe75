import type { ReactNode } from "react";
import { paneRows } from "./boxes.js";
import type { Layout, PaneBox } from "./layout.js";
import { mapNote, mapStrip } from "./panes/map.js";
import { Rows } from "./rows.js";
import { paint } from "./style.js";
import { paneContent } from "./trace-panes.js";
import type { OpenTrace, UiState } from "./ui-state.js";

/** A trace: the strip with the way, and panes side by side in rows. */
export function TraceScreen({
  state,
  trace,
  layout,
}: {
  readonly state: UiState;
  readonly trace: OpenTrace;
  readonly layout: Layout;
}): ReactNode {
  const { palette, size } = state;
  const strip = [mapStrip(trace.model, trace.at, size.columns), mapNote(trace.model, trace.at)];
  return (
    <>
      {layout.strip > 0 && (
        <Rows
          lines={strip.slice(0, layout.strip).map((line) => paint(line, size.columns, palette))}
        />
      )}
      {groupsOf(layout.panes).map((group) => (
        <Rows
          key={group[0]?.pane ?? ""}
          lines={beside(
            group.map((box) =>
              paneRows(paneContent(state, trace, layout, box), box.width, box.height, palette),
            ),
          )}
        />
      ))}
    </>
  );
}

/** Panes of equal height as rows of the whole screen. */
function beside(panes: readonly (readonly string[])[]): readonly string[] {
  return (panes[0] ?? []).map((_, row) => panes.map((rows) => rows[row] ?? "").join(""));
}

/** Panes that stand side by side. */
function groupsOf(panes: readonly PaneBox[]): readonly (readonly PaneBox[])[] {
  const rows = new Map<number, PaneBox[]>();
  for (const box of panes) rows.set(box.y, [...(rows.get(box.y) ?? []), box]);
  return [...rows.values()];
}
