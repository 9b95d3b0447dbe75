import { microseconds } from "../sim/time.js";
import { MAC_ZERO } from "../wire/ip.js";
import type { Frame } from "../wire/frame.js";
import type { FilterRow } from "./filter-fields.js";
import { flowText, type ReplayRow } from "./replay-row.js";
import { rowText, timeText } from "./replay-text.js";
import type { Step } from "./steps.js";
import type { TraceView } from "./trace-view.js";

const NO_FRAME: Frame = {
  link: { destination: MAC_ZERO, source: MAC_ZERO, etherType: 0 },
  network: undefined,
  transport: undefined,
  payload: new Uint8Array(0),
};

/**
 * A captured packet as filters look at it: fields of headers are those of the packet as captured, `after.` as it ended;
 * everything else is that of the step that decided. A word in quotes is looked for in the line.
 */
export function replayFilterRow(row: ReplayRow, view: TraceView | undefined): FilterRow {
  const { packet, verdict } = row;
  const frame = packet.frame ?? NO_FRAME;
  const step = (view === undefined ? undefined : decidingStep(view)) ?? withoutTrace(row, frame);
  const line = `${flowText(packet.frame)} ${rowText(row)}`;
  return {
    step: { ...step, n: packet.number, packet: packet.number, effect: `${step.effect} ${line}` },
    before: frame,
    packet: frame,
    bytes: packet.bytes,
    outcome: verdict.toLowerCase(),
    recording: view?.recording,
  };
}

/** The step of what decided; where several tell of it, the last. */
function decidingStep({ steps, verdict: { deciding } }: TraceView): Step | undefined {
  return steps.findLast(({ event }) => event === deciding) ?? steps.at(-1);
}

/** A packet that did not go through the world has no steps: it is told as one. */
function withoutTrace({ packet, mark, where }: ReplayRow, frame: Frame): Step {
  const { point, time, number } = packet;
  const ns = point?.ns ?? "";
  return {
    n: number,
    leg: "out",
    packet: number,
    time: time / 1000,
    ns,
    dev: point?.dev,
    hook: undefined,
    table: undefined,
    chain: undefined,
    rule: undefined,
    text: undefined,
    place: undefined,
    step: timeText(time),
    effect: where,
    mark,
    changes: [],
    counter: undefined,
    state: [],
    decisive: true,
    frame,
    event: {
      kind: "unknown",
      time: microseconds(time / 1000),
      ns,
      packet: number,
      dev: point?.dev,
      frame,
      mark: 0,
      what: where,
      place: undefined,
    },
  };
}
