import { unreachable, UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import type { Recording } from "../../core/recording.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { SentOnStep } from "../../core/scenario-recording.js";
import type { TraceEvent } from "../../core/trace.js";
import type { ClusterPod } from "../../kube/cluster.js";
import { later, type Micros, microseconds } from "../../sim/time.js";
import { formatIpv4, type Ipv4, parseIpv4 } from "../../wire/ip.js";
import { chainRules } from "../chain-rules.js";
import { parseDestination, parseSource, type Source } from "../endpoints.js";
import { policiesNotRendered } from "../policies.js";
import { fromOutside, isOutside, lookUp, namesOf, openOutside, sourceNamespace } from "../trace.js";
import { actAndWait, type Connection, openConnection } from "./connections.js";
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
import type { Action, ConnectionRequest, PodFlag, ScenarioStep } from "./scenario.js";

/** A connection of the scenario, and what is told of it. */
interface OpenConnection {
  readonly ns: NetworkNamespace;
  readonly socket: Connection;
  readonly request: ConnectionRequest;
  /** The address it sends from. */
  readonly source: Ipv4;
  readonly address: Ipv4;
  readonly port: number;
}

type Of<K extends Action["kind"]> = Extract<Action, { readonly kind: K }>;

/** Does what steps say in a living cluster. */
export class StepRunner {
  readonly living: LivingCluster;
  readonly #seed: number;
  readonly #connections = new Map<string, OpenConnection>();
  readonly #names = new Map<string, string>();
  /** The host outside, when there is one. */
  #outside: Ipv4 | undefined;

  constructor(living: LivingCluster, seed: number) {
    this.living = living;
    this.#seed = seed;
  }

  /** Runs one step; `events` is where its events go. What it sent, when it sent something. */
  run(step: ScenarioStep, events: readonly TraceEvent[]): SentOnStep | undefined {
    const { action } = step;
    switch (action.kind) {
      case "apply":
        return this.#apply(action);
      case "delete":
        return this.#delete(action, step);
      case "patch":
        return this.#patch(action, step);
      case "ready":
        for (const flag of action.pods)
          this.living.setReady(this.#pod(flag.pod, step).key, flag.is, "as the scenario says");
        return undefined;
      case "probe":
        for (const flag of action.pods) this.#probe(flag, step);
        return undefined;
      case "stop":
        this.living.stopPrograms(this.#pod(action.pod, step).key, "as the scenario says");
        return undefined;
      case "start":
        this.living.startPrograms(this.#pod(action.pod, step), "as the scenario says");
        return undefined;
      case "run":
        return this.#run(action, step);
      case "open":
      case "request":
        return this.#open(action, step, events);
      case "send":
        return this.#send(action, events);
      case "close":
        return this.#close(action, events);
      case "wait":
        this.#sim.runUntilIdle(later(this.#sim.queue.now, action.time));
        return undefined;
      default:
        return unreachable(action);
    }
  }

  /** Every connection there was, by the namespace and name of its socket. */
  connectionNames(): ReadonlyMap<string, string> {
    return new Map(this.#names);
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

  #delete({ object, grace, exits }: Of<"delete">, step: ScenarioStep): undefined {
    const kind = kindNamed(object.kind, step.detailsOf());
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
      throw this.#noObject(kind, key, step);
    tellObject(this.#sim, {
      ns: "",
      object: `${kind} ${key}`,
      action: "deleted",
      by: "you",
      why: "deleted",
    });
    this.living.change(without(this.living.load, kind, key));
  }

  #patch({ object, merge }: Of<"patch">, step: ScenarioStep): undefined {
    const kind = kindNamed(object.kind, step.detailsOf("object"));
    const key = keyNamed(kind, object);
    if (givenObject(this.living.load, kind, key) === undefined)
      throw this.#noObject(kind, key, step);
    const load = patched(this.living.load, kind, key, merge);
    tellObject(this.#sim, {
      ns: "",
      object: `${kind} ${key}`,
      action: "changed",
      by: "you",
      why: "patched",
    });
    this.living.change(load);
  }

  #noObject(kind: ReturnType<typeof kindNamed>, key: string, step: ScenarioStep): UserError {
    const { load, cluster } = this.living;
    const given = load.objects[kind].map(({ object }) => keyIn(kind, object));
    const known = kind === "Pod" ? cluster.pods.map((pod) => pod.key) : given;
    const near = nearest(key, known);
    const help =
      near === undefined
        ? known.length === 0
          ? `the world has no ${kind}`
          : `there are ${known.slice(0, 8).join(", ")}`
        : `did you mean ${near}?`;
    return new UserError("SCENARIO_OBJECT", `there is no ${kind} ${key} at this time`, {
      // A path that leads nowhere stops at what is there: `delete` and `patch` may name the object in a field.
      ...step.detailsOf("object"),
      help,
    });
  }

  #pod(key: string, step: ScenarioStep): ClusterPod {
    const pod = this.living.pod(key);
    if (pod !== undefined) return pod;
    throw this.#noObject("Pod", key, step);
  }

  /**
   * The kubelet asks every periodSeconds, and believes failureThreshold answers in a row. Differs: the last probe before
   * this one is taken to be just over.
   */
  #probe({ pod: key, is }: PodFlag, step: ScenarioStep): void {
    const pod = this.#pod(key, step);
    const probe = (pod.loaded.object.spec?.containers ?? []).flatMap(
      ({ readinessProbe }) => readinessProbe ?? [],
    )[0];
    if (probe === undefined)
      throw new UserError("SCENARIO_PROBE", `Pod ${key} has no readinessProbe`, {
        ...step.detailsOf(key),
        help: "say what it comes to with ready: {POD: true|false}",
      });
    const { periodSeconds = 10, failureThreshold = 3, successThreshold = 1 } = probe;
    const times = is ? successThreshold : failureThreshold;
    const why = `its readiness probe ${is ? "succeeded" : "failed"} ${times} times in ${periodSeconds * times} s`;
    this.#sim.queue.after(microseconds(periodSeconds * times * 1_000_000), `probes of ${key}`, () =>
      this.living.setReady(key, is, why),
    );
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

  #open(
    action: Of<"open"> | Of<"request">,
    step: ScenarioStep,
    events: readonly TraceEvent[],
  ): SentOnStep {
    const { request } = action;
    const { from, to, protocol } = request;
    const { cluster, world } = this.living;
    const name = action.kind === "open" ? action.name : undefined;
    const source = at(step, "from", () => parseSource(from, cluster, world.name));
    const found = at(step, "to", () => parseDestination(to, cluster, world.name, protocol));
    const destination = source.kind === "outside" ? fromOutside(found, to, cluster) : found;
    const ns = this.#namespaceOf(source, step);
    let address: Ipv4 | undefined;
    let lookup: Recording["lookup"];
    const lookupEvents: TraceEvent[] = [];
    if (destination.kind === "address") address = destination.address;
    else {
      lookup = this.#lookUp(ns, source, destination.name, lookupEvents);
      address = parseIpv4(lookup?.address ?? "");
    }
    const target = { protocol, port: destination.port, sourcePort: request.sourcePort };
    const first = events.length;
    let socket: Connection | undefined;
    let state: string | undefined;
    if (address !== undefined) {
      if (source.kind !== "outside" && isOutside(address, cluster))
        openOutside(this.living.live, cluster, address);
      socket = openConnection(ns, { ...target, address });
      const opened = socket;
      actAndWait(ns, opened, request.patience, () =>
        protocol === "tcp" ? undefined : opened.send(bytes(request.data)),
      );
      state = opened.state;
      if (name === undefined) opened.close();
      else {
        const { port } = destination;
        const open = { ns, socket: opened, request, source: source.address, address, port };
        this.#connections.set(name, open);
        this.#names.set(`${ns.name} ${socketName(open)}`, name);
      }
    }
    const told = { ns, request, source: source.address, address, port: destination.port, socket };
    return {
      connection: name,
      recording: { ...this.#recording(told, events.slice(first)), lookup, lookupEvents },
      state,
    };
  }

  #lookUp(
    ns: NetworkNamespace,
    source: Source,
    name: string,
    events: TraceEvent[],
  ): Recording["lookup"] {
    const { live, world, cluster } = this.living;
    const { trace } = this.#sim;
    const found = lookUp(live, { ...world, cluster }, ns, source, name, this.#seed, events);
    this.#sim.trace = trace;
    return found;
  }

  #send(
    { name, data, patience }: Of<"send">,
    events: readonly TraceEvent[],
  ): SentOnStep | undefined {
    const open = this.#connections.get(name);
    if (open === undefined) return undefined;
    const first = events.length;
    actAndWait(open.ns, open.socket, patience, () => open.socket.send(bytes(data)));
    return this.#sent(name, open, events.slice(first));
  }

  #close({ name }: Of<"close">, events: readonly TraceEvent[]): SentOnStep | undefined {
    const open = this.#connections.get(name);
    if (open === undefined) return undefined;
    this.#connections.delete(name);
    const first = events.length;
    open.socket.close();
    this.#sim.runUntilIdle(later(this.#sim.queue.now, CLOSING));
    return this.#sent(name, open, events.slice(first));
  }

  #sent(name: string, open: OpenConnection, events: readonly TraceEvent[]): SentOnStep {
    return { connection: name, recording: this.#recording(open, events), state: open.socket.state };
  }

  /** What a step sent as `hopwise trace` would tell it. */
  #recording(
    {
      ns,
      request,
      source,
      address,
      port,
      socket,
    }: Omit<OpenConnection, "address" | "socket"> & {
      readonly address: Ipv4 | undefined;
      readonly socket: Connection | undefined;
    },
    events: readonly TraceEvent[],
  ): Recording {
    const { world, cluster, makers, sim } = this.living;
    return {
      world: world.name,
      seed: this.#seed,
      proxy: "iptables",
      request: {
        source: request.from,
        destination: request.to,
        protocol: request.protocol,
        sourceNs: ns.name,
        sourceAddress: formatIpv4(source),
        sourcePort: socket?.sourcePort ?? request.sourcePort,
        address: address === undefined ? undefined : formatIpv4(address),
        port,
      },
      lookup: undefined,
      lookupEvents: [],
      events,
      names: namesOf(cluster),
      makers,
      chain: (where, table, chain) => chainRules(sim, where, table, chain),
      notes: [],
      unknown: policiesNotRendered(cluster),
      oneWay: false,
    };
  }

  #namespaceOf(source: Source, step: ScenarioStep): NetworkNamespace {
    if (source.kind === "inside")
      return sourceNamespace(this.living.live, this.living.cluster, source);
    const known = this.#sim.namespaces.get("outside");
    if (known !== undefined && this.#outside === source.address) return known;
    if (known !== undefined)
      throw new UserError(
        "SCENARIO_OUTSIDE",
        "one host outside is modelled in a scenario, and this is another",
        {
          ...step.detailsOf("from"),
          help:
            this.#outside === undefined ? undefined : `the first is ${formatIpv4(this.#outside)}`,
        },
      );
    this.#outside = source.address;
    return at(step, "from", () => sourceNamespace(this.living.live, this.living.cluster, source));
  }
}

/** As its events call it. */
function socketName({ request, source, socket, address, port }: OpenConnection): string {
  const from = `${formatIpv4(source)}:${socket.sourcePort}`;
  return `${request.protocol} ${from} > ${formatIpv4(address)}:${port}`;
}

/** How long a closed connection is watched. */
const CLOSING: Micros = microseconds(50_000);

/** An error without a place stands at a field of the step. */
function at<T>(step: ScenarioStep, field: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof UserError) || error.details.place !== undefined) throw error;
    throw new UserError(error.code, error.message, {
      ...step.detailsOf(field),
      help: error.details.help,
    });
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
