import type { StepRecording } from "../core/scenario-recording.js";
import type { TraceEvent } from "../core/trace.js";
import { traceJson } from "./json.js";
import { verdictName } from "./outcome.js";
import { receiverOf, type ScenarioView, type StepView } from "./scenario.js";

/** A scenario as one JSON document. Fields are only ever added within `v: 1`. */
export function scenarioJson(view: ScenarioView): object {
  const { recording, steps, expected, failed } = view;
  const { name, about, world, proxy, seed, settings, notes } = recording;
  return {
    v: 1,
    kind: "Scenario",
    name,
    about,
    world,
    proxy,
    seed,
    settings,
    expected,
    failed,
    exit: failed === 0 ? 0 : 1,
    steps: steps.map(stepJson),
    notes,
  };
}

function stepJson({ step, trace, checks }: StepView): object {
  return {
    n: step.number,
    title: step.title,
    about: step.about,
    source: step.place,
    from: step.from,
    to: step.to,
    changes: changesJson(step),
    connection: step.sent?.connection ?? null,
    state: step.sent?.state ?? null,
    verdict: trace === undefined ? null : verdictName(trace.verdict),
    receiver: receiverOf(trace) ?? null,
    trace: trace === undefined ? null : traceJson(trace),
    checks,
  };
}

/** Objects and commands, in order of time; packets are in `trace`. */
function changesJson({ before, events }: StepRecording): readonly object[] {
  return [...before, ...events].filter(
    (event: TraceEvent) => event.kind === "object" || event.kind === "command",
  );
}
