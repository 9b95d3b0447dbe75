import type { Recording } from "../core/recording.js";
import { encodeFrame } from "../wire/frame.js";
import { queriesOf } from "./lookup.js";
import { isPacketEvent } from "./follow.js";
import { madeJson } from "./made.js";
import { nearestRule } from "./nearest-rule.js";
import { verdictName } from "./outcome.js";
import type { Step } from "./steps.js";
import type { TraceView } from "./trace-view.js";
import { reasonOf } from "./why.js";

/** A trace as one JSON document. Fields are only ever added within `v: 1`. */
export function traceJson(view: TraceView): object {
  const { recording, verdict, steps } = view;
  return {
    v: 1,
    kind: "Trace",
    verdict: verdictName(verdict),
    exit: verdict.exit,
    because: verdict.because,
    senderSees: verdict.senderSees,
    nearest: nearestJson(view),
    flow: {
      ...recording.request,
      world: recording.world,
      proxy: recording.proxy ?? null,
      seed: recording.seed,
      lookup: lookupJson(view),
    },
    steps: steps.map((step) => stepJson(step, recording)),
    notes: recording.notes,
  };
}

function nearestJson({ recording, verdict: { deciding } }: TraceView): object | null {
  if (deciding?.kind !== "policy") return null;
  const nearest = nearestRule(deciding, recording.events.filter(isPacketEvent));
  if (nearest === undefined) return null;
  const { event, failed } = nearest;
  const { table, chain, number: rule, text, place } = event;
  return { table, chain, rule, text, source: place ?? null, failed };
}

/** One step as its own object, for `-o jsonl`. */
export function stepJson(step: Step, recording: Recording): object {
  return {
    n: step.n,
    leg: step.leg,
    pkt: step.packet,
    time: step.time,
    node: step.ns,
    netns: step.ns,
    dev: step.dev ?? null,
    hook: step.hook ?? null,
    table: step.table ?? null,
    chain: step.chain ?? null,
    rule: step.rule ?? null,
    text: step.text ?? null,
    source: step.place ?? null,
    made: madeJson(recording, step.place),
    step: step.step,
    effect: step.effect,
    mark: step.mark,
    why: reasonOf(step),
    changes: step.changes,
    counter: step.counter === undefined ? null : { packets: step.counter },
    state: step.state,
    decisive: step.decisive,
    bytes: hexOf(encodeFrame(step.frame)),
  };
}

function lookupJson({ recording }: TraceView): object | null {
  const { lookup } = recording;
  if (lookup === undefined) return null;
  const queries = queriesOf(recording).map(({ plugins, ...query }) => ({
    ...query,
    plugins: plugins.map(({ ns, plugin, action, why }) => ({ pod: ns, plugin, action, why })),
  }));
  return { ...lookup, queries };
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
