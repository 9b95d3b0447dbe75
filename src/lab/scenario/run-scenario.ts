import { UserError } from "../../base/errors.js";
import type {
  ScenarioRecording,
  SentOnStep,
  StepRecording,
} from "../../core/scenario-recording.js";
import type { TraceEvent } from "../../core/trace.js";
import { later, type Micros, seconds } from "../../sim/time.js";
import type { World } from "../world.js";
import { LivingCluster } from "./living-cluster.js";
import { placed } from "./placed.js";
import type { Scenario, ScenarioStep } from "./scenario.js";
import { StepRunner } from "./step-runner.js";
import { titleOf } from "./step-title.js";

export interface ScenarioOptions {
  /** Everything random follows from it; the scenario's own when it is left out, else 1. */
  readonly seed?: number | undefined;
}

/**
 * Runs a scenario in a world: time goes by, objects change, agents follow, connections live on. Throws UserError, placed
 * in the scenario, for what a step names and the world does not have.
 */
export function runScenario(
  world: World,
  scenario: Scenario,
  options: ScenarioOptions = {},
): ScenarioRecording {
  if (world.kind !== "cluster")
    throw new UserError("SCENARIO_WORLD", `${world.name} is no cluster: a scenario changes one`, {
      help: "a world with Kubernetes objects is needed: -w demo:shop",
    });
  const seed = options.seed ?? scenario.seed ?? 1;
  const living = new LivingCluster(world, seed, scenario.settings);
  const { sim } = living;
  sim.reseed(seed);
  const runner = new StepRunner(living, seed);
  const start = sim.queue.now;
  const steps: StepRecording[] = [];
  for (const step of scenario.steps) steps.push(runStep(runner, step, steps.length + 1, start));
  sim.trace = undefined;
  return {
    name: scenario.name,
    about: scenario.about,
    world: world.name,
    seed,
    proxy: "iptables",
    start,
    settings: settingsOf(scenario),
    steps,
    notes: world.cluster.notes.map(({ text }) => text),
  };
}

function runStep(
  runner: StepRunner,
  step: ScenarioStep,
  number: number,
  start: Micros,
): StepRecording {
  const { sim } = runner.living;
  const before: TraceEvent[] = [];
  const events: TraceEvent[] = [];
  const since = (): Micros => (sim.queue.now - start) as Micros;
  sim.trace = (event) => before.push(event);
  placed(step.details, () => {
    if (step.at !== undefined) waitUntil(runner, later(start, step.at), step);
    if (step.after !== undefined) sim.runUntilIdle(later(sim.queue.now, step.after));
  });
  placed(step.details, () => refuseLong(since()));
  sim.trace = (event) => events.push(event);
  const from = since();
  const sent = placed<SentOnStep | undefined>(step.details, () => runner.run(step, events));
  return {
    number,
    title: titleOf(step.action),
    about: step.about,
    place: step.details.place ?? { file: "", line: 1, column: 1 },
    from,
    to: since(),
    before,
    events,
    sent,
    connections: runner.connections.names(),
    expect: step.expect,
  };
}

/** Timers of the cluster run on while nothing happens: no scenario is endless. */
const LONGEST: Micros = seconds(30 * 86_400);

function refuseLong(time: Micros): void {
  if (time <= LONGEST) return;
  throw new UserError("LIMIT_TIME", "a scenario ends before 30 days are over");
}

function waitUntil({ living }: StepRunner, instant: Micros, { details }: ScenarioStep): void {
  const { queue } = living.sim;
  if (instant < queue.now) {
    const seconds = (queue.now / 1_000_000).toFixed(3);
    throw new UserError(
      "SCENARIO_TIME",
      `the step before ends at ${seconds} s, after this one is to begin`,
      {
        ...details,
        help: 'leave "at" out, or give it a later time',
      },
    );
  }
  living.sim.runUntilIdle(instant);
}

function settingsOf({ settings }: Scenario): readonly string[] {
  const { conntrackCleanup, proxyDelay, policyDelay } = settings;
  const seconds = (time: Micros): string => `${time / 1_000_000} s`;
  return [
    ...(conntrackCleanup ? [] : ["kube-proxy's conntrack cleanup is off"]),
    ...(proxyDelay === 0 ? [] : [`kube-proxy syncs ${seconds(proxyDelay)} after a change`]),
    ...(policyDelay === 0 ? [] : [`kube-router syncs ${seconds(policyDelay)} after a change`]),
  ];
}
