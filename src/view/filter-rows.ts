import type { Filter } from "./filter.js";
import type { FilterRow } from "./filter-fields.js";
import type { Step } from "./steps.js";
import type { TraceView } from "./trace-view.js";

/** Each step with the packet as it found it, as filters look at it. */
export function filterRows({ steps, conversation, recording }: TraceView): readonly FilterRow[] {
  return steps.map((step, index) => {
    const previous = steps[index - 1];
    const born = (step.leg === "out" ? conversation.out : conversation.back)?.events[0]?.frame;
    const before = previous?.leg === step.leg ? previous.frame : (born ?? step.frame);
    return { step, before, recording };
  });
}

/** The steps of a trace that a filter holds for. */
export function filteredSteps(view: TraceView, filter: Filter): readonly Step[] {
  return filterRows(view)
    .filter((row) => filter.matches(row))
    .map(({ step }) => step);
}
