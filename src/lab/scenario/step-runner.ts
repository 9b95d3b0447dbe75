import { unreachable, UserError, type UserErrorDetails } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import type { SentOnStep } from "../../core/scenario-recording.js";
import type { ObjectEvent, TraceEvent } from "../../core/trace.js";
import type { ClusterPod } from "../../kube/cluster.js";
import type { Kind } from "../../kube/objects.js";
import type { Timer } from "../../sim/event-queue.js";
import { later, microseconds } from "../../sim/time.js";
import { ConnectionSteps } from "./connection-steps.js";
import { deletionOf, type LivingCluster, SANDBOX_TIME } from "./living-cluster.js";
import {
  applied,
  givenObject,
  keyIn,
  keyNamed,
  kindNamed,
  patched,
  without,
} from "./object-edits.js";
import { runTold, tellObject } from "./run-command.js";
import type { Action, PodFlag, PodName, ScenarioStep } from "./scenario.js";

type Of<K extends Action["kind"]> = Extract<Action, { readonly kind: K }>;

/** Does what steps say in a living cluster. */
export class StepRunner {
  readonly living: LivingCluster;
  readonly connections: ConnectionSteps;
  /** What probes of pods will be believed, by pod. */
  readonly #probes = new Map<string, Timer>();

  constructor(living: LivingCluster, seed: number) {
    this.living = living;
    this.connections = new ConnectionSteps(living, seed);
  }

  /** Runs one step; `events` is where its events go. What it sent, when it sent something. */
  run(step: ScenarioStep, events: readonly TraceEvent[]): SentOnStep | undefined {
    const { action } = step;
    switch (action.kind) {
      case "apply":
        return this.#apply(action);
      case "delete":
        return this.#delete(action);
      case "patch":
        return this.#patch(action);
      case "ready":
        for (const flag of action.pods)
          this.living.setReady(this.#pod(flag.pod).key, flag.is, "as the scenario says");
        return undefined;
      case "probe":
        for (const flag of action.pods) this.#probe(flag);
        return undefined;
      case "stop":
        this.living.stopPrograms(this.#pod(action.pod).key, "as the scenario says");
        return undefined;
      case "start":
        this.living.startPrograms(this.#pod(action.pod), "as the scenario says");
        return undefined;
      case "down":
        this.living.outages.down(action.node, action.details);
        return undefined;
      case "up":
        this.living.outages.up(action.node, action.details);
        return undefined;
      case "run":
        return this.#run(action, step);
      case "open":
      case "request":
        return this.connections.open(action, step, events);
      case "send":
        return this.connections.send(action, events);
      case "close":
        return this.connections.close(action, events);
      case "wait":
        this.#sim.runUntilIdle(later(this.#sim.queue.now, action.time));
        return undefined;
      default:
        return unreachable(action);
    }
  }

  get #sim(): LivingCluster["sim"] {
    return this.living.sim;
  }

  #apply({ objects }: Of<"apply">): undefined {
    const { load, changes } = applied(this.living.load, objects);
    for (const { object, action } of changes)
      tellObject(this.#sim, { ns: "", object, action, by: "you", why: "applied" });
    this.living.change(load);
  }

  #delete({ object, grace, exits }: Of<"delete">): undefined {
    const kind = kindNamed(object.kind, object.details);
    const key = keyNamed(kind, object);
    const pod = kind === "Pod" ? this.living.pod(key) : undefined;
    if (pod !== undefined) {
      const own = deletionOf(pod);
      const deletion = { grace: grace ?? own.grace, exits, why: "deleted" };
      this.living.deletePod(pod, deletion);
      if (Math.min(deletion.grace, exits ?? deletion.grace) === 0)
        this.#sim.runUntilIdle(later(this.#sim.queue.now, SANDBOX_TIME));
      return undefined;
    }
    if (givenObject(this.living.load, kind, key) === undefined)
      throw this.#noObject(kind, key, object.details);
    this.#tell(kind, key, "deleted", "deleted");
    this.living.change(without(this.living.load, kind, key));
  }

  #patch({ object, merge }: Of<"patch">): undefined {
    const kind = kindNamed(object.kind, object.details);
    const key = keyNamed(kind, object);
    if (givenObject(this.living.load, kind, key) === undefined)
      throw this.#noObject(kind, key, object.details);
    const load = patched(this.living.load, kind, key, merge);
    this.#tell(kind, key, "changed", "patched");
    this.living.change(load);
  }

  #tell(kind: Kind, key: string, action: ObjectEvent["action"], why: string): void {
    tellObject(this.#sim, { ns: "", object: `${kind} ${key}`, action, by: "you", why });
  }

  #noObject(kind: Kind, key: string, details: UserErrorDetails): UserError {
    const { load, cluster } = this.living;
    const made = kind === "Pod" ? this.living.pod(key)?.workload : undefined;
    if (made !== undefined)
      return new UserError("SCENARIO_OBJECT", `Pod ${key} is made by ${made.kind} ${made.name}`, {
        ...details,
        help: `change that: ${made.kind.toLowerCase()} ${key.split("/", 1)[0] ?? ""}/${made.name}`,
      });
    const given = load.objects[kind].map(({ object }) => keyIn(kind, object));
    const known = kind === "Pod" ? cluster.pods.map((pod) => pod.key) : given;
    const near = nearest(key, known);
    const there =
      known.length === 0 ? `the world has no ${kind}` : `there are ${known.slice(0, 8).join(", ")}`;
    return new UserError("SCENARIO_OBJECT", `there is no ${kind} ${key} at this time`, {
      ...details,
      help: near === undefined ? there : `did you mean ${near}?`,
    });
  }

  #pod({ key, details }: PodName): ClusterPod {
    const pod = this.living.pod(key);
    if (pod !== undefined) return pod;
    throw this.#noObject("Pod", key, details);
  }

  /**
   * The kubelet asks every periodSeconds, and believes failureThreshold answers in a row. Differs: the last probe before
   * this one is taken to be just over.
   */
  #probe({ pod: name, is }: PodFlag): void {
    const pod = this.#pod(name);
    const { key } = pod;
    const probe = (pod.loaded.object.spec?.containers ?? []).flatMap(
      ({ readinessProbe }) => readinessProbe ?? [],
    )[0];
    if (probe === undefined)
      throw new UserError("SCENARIO_PROBE", `Pod ${key} has no readinessProbe`, {
        ...name.details,
        help: "say what it comes to with ready: {POD: true|false}",
      });
    const { periodSeconds = 10, failureThreshold = 3, successThreshold = 1 } = probe;
    const times = is ? successThreshold : failureThreshold;
    const why = `its readiness probe ${is ? "succeeded" : "failed"} ${times} times in ${periodSeconds * times} s`;
    this.#probes.get(key)?.cancel();
    const time = microseconds(periodSeconds * times * 1_000_000);
    const believed = (): void => this.living.setReady(key, is, why);
    this.#probes.set(key, this.#sim.queue.after(time, `probes of ${key}`, believed));
  }

  #run({ commands }: Of<"run">, step: ScenarioStep): undefined {
    for (const { ns, argv, stdin } of commands) {
      if (!this.#sim.namespaces.has(ns)) throw this.#noNamespace(ns, step);
      const command =
        stdin === undefined ? { ns, argv } : { ns, argv, stdin, stdinName: `${ns}.scenario` };
      runTold(this.#sim, command, { by: "you", why: "as the scenario says" });
    }
  }

  #noNamespace(ns: string, step: ScenarioStep): UserError {
    const near = nearest(ns, this.#sim.namespaces.keys());
    return new UserError("SCENARIO_NAMESPACE", `no node or pod "${ns}" to run a command in`, {
      ...step.detailsOf(ns),
      help: near === undefined ? undefined : `did you mean ${near}?`,
    });
  }
}
