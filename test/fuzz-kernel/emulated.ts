import type { Simulation } from "../../src/core/simulation.js";
import { startListener } from "../../src/lab/build.js";
import type { Lab } from "../../src/lab/lab.js";
import { type Micros, later, microseconds, seconds } from "../../src/sim/time.js";
import type { LabCommand } from "../../src/tools/command.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { encodeFrame } from "../../src/wire/frame.js";
import { startProbe } from "../kernel/emulate.js";
import type { SeenFrame } from "../kernel/normalise.js";
import type { ProbeSpec } from "../kernel/observation.js";
import type { RunOfLab } from "./compare.js";
import { builtBy, deviceKnobs, familyOfLab, fuzzProfile, saversOf, slot } from "./profile.js";

/** More frames than any lab has whose probes end. */
export const manyFrames = 600;

/** Events of one lab: more is a storm that neither side should see. */
const mostSteps = 200_000;

/** Builds a lab in the emulator, going on after commands that fail, and starts its probes at fixed distances, in seconds; after so many frames it stops. */
export function runEmulated(
  lab: Lab,
  probes: readonly ProbeSpec[],
  seed = 1,
  distance: number = slot,
  mostFrames: number = Number.POSITIVE_INFINITY,
): RunOfLab {
  const sim = createLinux({ seed });
  const family = familyOfLab(lab);
  for (const ns of lab.namespaces) {
    sim.createNamespace(ns);
    for (const argv of [
      ["ip", "link", "set", "lo", "up"],
      ...fuzzProfile(family).map((knob) => ["sysctl", "-qw", knob]),
    ])
      runTool(sim, { ns, argv });
  }
  const failureOf = ({ ns, argv, stdin }: LabCommand): string | null => {
    const { code, stderr } = runTool(sim, { ns, argv, stdin });
    return code === 0 ? null : stderr.trim();
  };
  const built = builtBy(lab);
  const failures = lab.commands.slice(0, built).map(failureOf);
  for (const ns of sim.namespaces.values())
    for (const dev of ns.devices.keys())
      for (const knob of deviceKnobs(family))
        runTool(sim, { ns: ns.name, argv: ["sysctl", "-qw", knob.replace("DEVICE", dev)] });
  sim.runUntilIdle(later(sim.queue.now, seconds(0.2)));
  failures.push(...lab.commands.slice(built).map(failureOf));
  const inTurn = turns(sim);
  for (const listener of lab.listeners) startListener(sim, listener, inTurn);
  sim.runUntilIdle(later(sim.queue.now, seconds(0.1)));
  const frames: SeenFrame[] = [];
  const unknown = new Set<string>();
  const budget: Budget = { steps: mostSteps };
  sim.trace = (event) => {
    if (event.kind === "unknown") unknown.add(JSON.stringify(event));
    if (event.kind !== "device" || event.dev === undefined) return;
    frames.push({
      ns: event.ns,
      dev: event.dev,
      direction: event.direction,
      bytes: encodeFrame(event.frame),
    });
    // Nothing more is to be learned of it.
    if (frames.length > mostFrames) budget.steps = 0;
  };
  const results = probes.map((probe) => runProbe(sim, probe, distance, budget));
  runTo(sim, later(sim.queue.now, seconds(0.05)), budget, () => false);
  const each = (argv: readonly string[]): ReadonlyMap<string, string> =>
    new Map(lab.namespaces.map((ns) => [ns, runTool(sim, { ns, argv }).stdout]));
  const rulesOf = (ns: string): string =>
    saversOf(lab)
      .map((saver) => runTool(sim, { ns, argv: [saver, "-c"] }).stdout)
      .join("");
  return {
    failures,
    unknown: [...unknown],
    seen: {
      results,
      frames,
      rules: new Map(lab.namespaces.map((ns) => [ns, rulesOf(ns)])),
      conntrack: each(["conntrack", "-L", "-f", family]),
      neighbours: each(["ip", "neigh", "show"]),
      sets: each(["ipset", "save"]),
    },
  };
}

/** The programs of the judge are one process: what one of them answers is over when the next one reads. */
function turns(sim: Simulation): () => Micros {
  const answer = microseconds(1);
  const apart = microseconds(200);
  let last = sim.queue.now;
  return () => {
    const at = Math.max(later(sim.queue.now, answer), later(last, apart));
    const delay = microseconds(at - sim.queue.now);
    last = later(sim.queue.now, delay);
    return delay;
  };
}

/** Runs one probe and then until the next one starts. */
function runProbe(sim: Simulation, probe: ProbeSpec, distance: number, budget: Budget): string {
  const ns = sim.namespaces.get(probe.ns);
  if (ns === undefined) throw new Error(`no namespace ${probe.ns}`);
  if (budget.steps <= 0) return "a storm";
  const end = later(sim.queue.now, seconds(distance));
  const running = startProbe(ns, probe);
  const stop = later(sim.queue.now, seconds(probe.limit));
  if (!runTo(sim, stop, budget, () => running.text !== undefined)) return "a storm";
  const text = running.text ?? `${running.waits}: timeout`;
  sim.queue.after(microseconds(1), "probe closes", running.close);
  runTo(sim, end, budget, () => false);
  return text;
}

/** How many more events a lab may have. */
interface Budget {
  steps: number;
}

/** Goes on until a time, or until `isDone`; false when the lab has had its events. */
function runTo(sim: Simulation, until: Micros, budget: Budget, isDone: () => boolean): boolean {
  while (!isDone()) {
    if ((sim.queue.nextAt ?? Number.POSITIVE_INFINITY) > until) {
      sim.runUntilIdle(until);
      return true;
    }
    if (budget.steps-- <= 0) return false;
    sim.step();
  }
  return true;
}
