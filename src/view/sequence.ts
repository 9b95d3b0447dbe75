import { safeText } from "../base/safe-text.js";
import { destinationOf, sourceOf } from "./fields.js";
import { verdictName } from "./outcome.js";
import type { Mark, Step } from "./steps.js";
import type { TraceView } from "./trace-view.js";

/** A way between two namespaces, or something that happened in one: what sequence pictures are drawn from. */
export type SequenceItem =
  | {
      readonly kind: "arrow";
      /** Places in `lanes`. */
      readonly from: number;
      readonly to: number;
      readonly back: boolean;
      /** The number of the first step on the other side. */
      readonly n: number;
      readonly text: string;
    }
  | {
      readonly kind: "note";
      readonly at: number;
      readonly n: number;
      readonly mark: Mark;
      readonly text: string;
    };

export interface Sequence {
  readonly title: string;
  /** Namespaces in the order the packet met them. */
  readonly lanes: readonly string[];
  readonly items: readonly SequenceItem[];
}

/** More lanes than this are no picture: the rest shares the last one. */
const MOST_LANES = 60;

/**
 * The steps of a trace as arrows between namespaces, with notes for what changed the packet and what ended it. Of
 * `chosen` steps, their namespaces and notes, and no arrow to or from what is left out.
 */
export function sequenceOf(
  { recording, verdict, steps }: TraceView,
  chosen: readonly Step[],
): Sequence {
  const names = [...new Set(chosen.map(({ ns }) => ns))];
  const lanes =
    names.length <= MOST_LANES
      ? names
      : [...names.slice(0, MOST_LANES - 1), `${names.length - MOST_LANES + 1} more namespaces`];
  const laneOf = (step: Step): number => Math.min(names.indexOf(step.ns), lanes.length - 1);
  const numbers = new Set(chosen.map(({ n }) => n));
  const items = steps.flatMap((step, index): readonly SequenceItem[] => {
    const before = steps[index - 1];
    // An answer starts where it is made, which need not be where the request ended.
    const from = before === undefined || before.leg !== step.leg ? -1 : laneOf(before);
    const to = laneOf(step);
    return [
      ...(from >= 0 && to >= 0 && from !== to ? [arrow(step, from, to)] : []),
      ...(step.mark !== "" && numbers.has(step.n) ? [note(step, to)] : []),
    ];
  });
  const { source, destination } = recording.request;
  const title = `${verdictName(verdict)}: ${source} to ${destination}`;
  return { title: safeText(title), lanes: lanes.map(safeText), items };
}

function arrow(step: Step, from: number, to: number): SequenceItem {
  const text = safeText(`${sourceOf(step.frame)} > ${destinationOf(step.frame)}`);
  return { kind: "arrow", from, to, back: step.leg === "back", n: step.n, text };
}

function note(step: Step, at: number): SequenceItem {
  const { n, mark } = step;
  return { kind: "note", at, n, mark, text: safeText(`${mark} ${step.step} ${step.effect}`) };
}
