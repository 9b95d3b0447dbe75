import type { Place } from "../base/errors.js";
import type { Micros } from "../sim/time.js";
import type { Recording } from "./recording.js";
import type { TraceEvent } from "./trace.js";

/** What a step of a scenario must come to. Every part that is given must hold. */
export interface Expectation {
  /** `DELIVERED`, `REPLY-DROPPED`: the outcome of the step's packet. */
  readonly outcome: string | undefined;
  /** The namespace that got it: `shop/api-1`. */
  readonly by: string | undefined;
  /** The address that the receiver saw it come from. */
  readonly source: string | undefined;
  /** The TCP state of the step's connection when the step is over. */
  readonly state: string | undefined;
  /** What the step's sender was answered holds this. */
  readonly answer: string | undefined;
  /** What the command prints holds this, and does not hold that. */
  readonly prints: string | undefined;
  readonly lacks: string | undefined;
  readonly place: Place;
}

/** What a step sent: everything that its outcome is judged by. */
export interface SentOnStep {
  /** The connection's name in the scenario; undefined for a request of its own. */
  readonly connection: string | undefined;
  readonly recording: Recording;
  /** The TCP state of the sender when the step was over. */
  readonly state: string | undefined;
}

/** One step of a scenario as it went. */
export interface StepRecording {
  /** From 1. */
  readonly number: number;
  /** What the file asks for, in one line: `delete Pod shop/api-1, grace 30 s`. */
  readonly title: string;
  /** The file's own words about it; may be empty. */
  readonly about: string;
  readonly place: Place;
  /** When it began and ended, from the start of the scenario. */
  readonly from: Micros;
  readonly to: Micros;
  /** What happened while the time before it went by. */
  readonly before: readonly TraceEvent[];
  readonly events: readonly TraceEvent[];
  readonly sent: SentOnStep | undefined;
  /** The scenario's connections when the step was over, by `NAMESPACE SOCKET`: `shop/web-0 tcp 10.244.1.5:40000 > …`. */
  readonly connections: ReadonlyMap<string, string>;
  readonly expect: Expectation | undefined;
}

/** A whole scenario as it went: everything that outputs are made of. */
export interface ScenarioRecording {
  readonly name: string;
  readonly about: string;
  /** As given with -w, or as the scenario names it. */
  readonly world: string;
  readonly seed: number;
  readonly proxy: string;
  /** What the clock of events showed when the scenario began. */
  readonly start: Micros;
  /** Stated because it changes what happens: `kube-proxy's conntrack cleanup is off`. */
  readonly settings: readonly string[];
  readonly steps: readonly StepRecording[];
  readonly notes: readonly string[];
}
