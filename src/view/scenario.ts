import type { Expectation, ScenarioRecording, StepRecording } from "../core/scenario-recording.js";
import type { CommandEvent } from "../core/trace.js";
import { sourceOf } from "./fields.js";
import { fateOf } from "./follow.js";
import { verdictName } from "./outcome.js";
import { type TraceView, viewOf } from "./trace-view.js";

/** One part of what a step must come to. */
export interface Check {
  readonly what: "outcome" | "by" | "source" | "state" | "answer" | "prints" | "lacks";
  readonly wanted: string;
  readonly got: string;
  readonly holds: boolean;
}

export interface StepView {
  readonly step: StepRecording;
  /** What became of the packet that the step sent. */
  readonly trace: TraceView | undefined;
  readonly checks: readonly Check[];
}

export interface ScenarioView {
  readonly recording: ScenarioRecording;
  readonly steps: readonly StepView[];
  readonly expected: number;
  readonly failed: number;
}

/** A scenario read once: every output is made of this. */
export function scenarioView(recording: ScenarioRecording): ScenarioView {
  const steps = recording.steps.map(stepView);
  const checked = steps.filter(({ checks }) => checks.length > 0);
  return {
    recording,
    steps,
    expected: checked.length,
    failed: checked.filter(({ checks }) => checks.some(({ holds }) => !holds)).length,
  };
}

function stepView(step: StepRecording): StepView {
  const trace = step.sent === undefined ? undefined : viewOf(step.sent.recording);
  const checks = step.expect === undefined ? [] : checksOf(step.expect, step, trace);
  return { step, trace, checks };
}

function checksOf(
  expect: Expectation,
  step: StepRecording,
  trace: TraceView | undefined,
): readonly Check[] {
  const printed = step.events
    .filter((event): event is CommandEvent => event.kind === "command" && event.by === "you")
    .map(({ output }) => output)
    .join("");
  const outcome = trace === undefined ? "nothing" : verdictName(trace.verdict);
  const equal = (what: Check["what"], wanted: string | undefined, got: string): readonly Check[] =>
    wanted === undefined ? [] : [{ what, wanted, got, holds: wanted === got }];
  const { answer, prints, lacks } = expect;
  const answered = answer === undefined ? "" : answerOf(step);
  return [
    ...equal("outcome", expect.outcome, outcome),
    ...equal("by", expect.by, receiverOf(trace)?.ns ?? "nobody"),
    ...equal("source", expect.source, receiverOf(trace)?.source ?? "none"),
    ...equal("state", expect.state, step.sent?.state ?? "none"),
    ...(answer === undefined
      ? []
      : [
          {
            what: "answer" as const,
            wanted: answer,
            got: answered,
            holds: answered.includes(answer),
          },
        ]),
    ...(prints === undefined
      ? []
      : [
          {
            what: "prints" as const,
            wanted: prints,
            got: printed,
            holds: printed.includes(prints),
          },
        ]),
    ...(lacks === undefined
      ? []
      : [{ what: "lacks" as const, wanted: lacks, got: printed, holds: !printed.includes(lacks) }]),
  ];
}

/** What came back to the step's sender, as text. */
function answerOf({ sent }: StepRecording): string {
  if (sent === undefined) return "";
  const { events, request } = sent.recording;
  const seen = new Set<string>();
  for (const event of events) {
    if (event.kind !== "device" || event.ns !== request.sourceNs || event.direction !== "rx")
      continue;
    const { transport, payload } = event.frame;
    const isOurs =
      (transport?.kind === "tcp" || transport?.kind === "udp") &&
      transport.destinationPort === request.sourcePort;
    if (isOurs && payload.length > 0) seen.add(new TextDecoder("latin1").decode(payload));
  }
  return [...seen].join("");
}

/** Who got the step's packet, and from which address as it saw it. */
export function receiverOf(
  trace: TraceView | undefined,
): { readonly ns: string; readonly source: string } | undefined {
  const out = trace?.conversation.out;
  const fate = out === undefined ? undefined : fateOf(out);
  if (fate?.kind !== "delivered") return undefined;
  return { ns: fate.ns, source: sourceOf(fate.frame).replace(/:\d+$/, "") };
}
