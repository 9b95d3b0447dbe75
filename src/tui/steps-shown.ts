import type { OpenTrace } from "./ui-state.js";

/** Which steps of a trace are rows now, and which of them a filter marks. */
export interface ShownSteps {
  readonly visible: readonly number[];
  readonly hits: ReadonlySet<number> | undefined;
}

/** All steps, or those that the mode and the filter leave. */
export function shownSteps({
  model,
  mode,
  filter,
  markOnly,
}: Omit<OpenTrace, "shown">): ShownSteps {
  const { rows, steps } = model;
  const inMode = steps.flatMap((step, index) =>
    mode === "all" || (mode === "decide" ? step.decisive : step.mark === "*") ? [index] : [],
  );
  if (filter === undefined) return { visible: inMode, hits: undefined };
  const hit = (index: number): boolean => {
    const row = rows[index];
    return row !== undefined && filter.matches(row);
  };
  if (markOnly) return { visible: inMode, hits: new Set(inMode.filter(hit)) };
  return { visible: inMode.filter(hit), hits: undefined };
}

/** A trace whose rows follow its mode and filter again; the cursor goes to the nearest row that is left. */
export function refreshed(trace: Omit<OpenTrace, "shown">): OpenTrace {
  const shown = shownSteps(trace);
  return { ...trace, shown, at: nearestRow(shown.visible, trace.at) };
}

function nearestRow(visible: readonly number[], at: number): number {
  if (visible.length === 0) return at;
  return visible.find((index) => index >= at) ?? visible.at(-1) ?? at;
}
