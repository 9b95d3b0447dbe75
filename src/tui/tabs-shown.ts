import { layoutKind, type PaneName, type Tab, tabsOf } from "./layout.js";
import type { OpenTrace, UiState } from "./ui-state.js";

/** The tabs that a pane shows now. */
export function tabsShown(state: UiState, trace: OpenTrace, pane: PaneName): readonly Tab[] {
  return tabsOf(
    layoutKind(state.size),
    pane,
    (group) => trace.tabs.find((tab) => group.includes(tab)) ?? group[0] ?? 1,
  );
}
