import type { Node, Pod, Taint } from "kubernetes-types/core/v1.js";
import { UserError, type UserErrorDetails } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import type { Simulation } from "../../core/simulation.js";
import type { Cluster, ClusterPod } from "../../kube/cluster.js";
import type { LoadResult } from "../../kube/load.js";
import { UNDERLAY } from "../../kube/nodes.js";
import { type Loaded, nameOf } from "../../kube/objects.js";
import type { Timer } from "../../sim/event-queue.js";
import { microseconds, type Micros, seconds } from "../../sim/time.js";
import { runTold, tellObject } from "./run-command.js";

/** `--node-monitor-grace-period` of 1.32 and later. */
const GRACE: Micros = seconds(50);
/** What the API server gives pods that do not say how long they stay on a node that is gone. */
const TOLERATED_SECONDS = 300;
const UNREACHABLE = "node.kubernetes.io/unreachable";
const TAINTS: readonly Taint[] = ["NoSchedule", "NoExecute"].map((effect) => ({
  key: UNREACHABLE,
  effect,
}));

/** What outages need of the cluster that they happen in. */
export interface OutageWorld {
  readonly sim: Simulation;
  cluster(): Cluster;
  load(): LoadResult;
  /** Takes new objects over. */
  change(load: LoadResult): void;
  /** Undefined gives the condition back to the pod's own status. */
  setReady(key: string, ready: boolean | undefined, why: string): void;
  /** Begins to delete a pod whose kubelet hears nothing of it. */
  evict(pod: ClusterPod, why: string): void;
  /** The node's kubelet and kube-proxy hear of everything again. */
  resume(node: string): void;
}

/** Nodes that cannot be reached, and what the controllers do about them. Mirrors pkg/controller/nodelifecycle and pkg/controller/tainteviction. */
export class NodeOutages {
  readonly #world: OutageWorld;
  readonly #timers = new Map<string, Timer[]>();

  constructor(world: OutageWorld) {
    this.#world = world;
  }

  isDown(node: string | undefined): boolean {
    return node !== undefined && this.#timers.has(node);
  }

  /** The node's wire is cut. After the grace period its pods are not ready; when they tolerate it no longer they are evicted. */
  down(node: string, details: UserErrorDetails): void {
    const port = this.#portOf(node, details);
    if (this.isDown(node)) return;
    const timers: Timer[] = [];
    this.#timers.set(node, timers);
    this.#wire(port, "down", `node ${node} cannot be reached`);
    const later = (time: Micros, what: string, act: () => void): void =>
      void timers.push(this.#world.sim.queue.after(time, `node ${node} ${what}`, act));
    later(GRACE, "is unreachable", () => {
      this.#taint(node, true);
      for (const pod of this.#podsOn(node)) {
        this.#world.setReady(pod.key, false, `node ${node} is not ready`);
        const tolerated = toleratedSeconds(pod.loaded.object);
        if (tolerated === undefined) continue;
        later(microseconds(tolerated * 1_000_000), `evicts ${pod.key}`, () => {
          const still = this.#podsOn(node).find(({ key }) => key === pod.key);
          if (still !== undefined)
            this.#world.evict(still, `taint ${UNREACHABLE} of node ${node} for ${tolerated} s`);
        });
      }
    });
  }

  /** The wire is whole again: kubelet reports at once, and does what was asked of it in the meantime. */
  up(node: string, details: UserErrorDetails): void {
    const port = this.#portOf(node, details);
    const timers = this.#timers.get(node);
    if (timers === undefined) return;
    for (const timer of timers) timer.cancel();
    this.#timers.delete(node);
    this.#wire(port, "up", `node ${node} can be reached again`);
    this.#taint(node, false);
    for (const pod of this.#podsOn(node))
      this.#world.setReady(pod.key, undefined, `node ${node} is ready`);
    this.#world.resume(node);
  }

  #podsOn(node: string): readonly ClusterPod[] {
    return this.#world.cluster().pods.filter((pod) => pod.node === node);
  }

  /** The end of the node's wire in the underlay. */
  #portOf(node: string, details: UserErrorDetails): string {
    const { nodes } = this.#world.cluster();
    const at = nodes.findIndex(({ name }) => name === node);
    if (at >= 0) return `port-${at + 1}`;
    const names = nodes.map(({ name }) => name);
    const near = nearest(node, names);
    throw new UserError("SCENARIO_NODE", `there is no node "${node}"`, {
      ...details,
      help: near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`,
    });
  }

  #wire(port: string, word: "up" | "down", why: string): void {
    const command = { ns: UNDERLAY, argv: ["ip", "link", "set", port, word] };
    runTold(this.#world.sim, command, { by: "you", why });
  }

  #taint(node: string, on: boolean): void {
    const load = this.#world.load();
    const given = load.objects.Node;
    const nodes =
      given.length > 0 ? given : this.#world.cluster().nodes.map(({ loaded }) => loaded);
    const Node = nodes.map(({ object, origin }): Loaded<Node> => {
      if (nameOf(object) !== node) return { object, origin };
      const others = (object.spec?.taints ?? []).filter(({ key }) => key !== UNREACHABLE);
      const taints = on ? [...others, ...TAINTS] : others;
      return { object: { ...object, spec: { ...object.spec, taints } }, origin };
    });
    tellObject(this.#world.sim, {
      ns: "",
      object: `Node ${node}`,
      action: "changed",
      by: on ? "node-lifecycle-controller" : "kubelet",
      why: on ? `Ready is Unknown: no heartbeat for ${GRACE / 1_000_000} s` : "Ready",
    });
    this.#world.change({ ...load, objects: { ...load.objects, Node } });
  }
}

/** How long a pod stays on a node that cannot be reached; undefined for ever: a DaemonSet's, a static pod, one that says so. */
function toleratedSeconds({ metadata, spec }: Pod): number | undefined {
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.kind === "DaemonSet" || owner?.kind === "Node") return undefined;
  const fitting = (spec?.tolerations ?? []).filter(
    ({ key = "", operator = "Equal", effect = "" }) =>
      (key === "" ? operator === "Exists" : key === UNREACHABLE) &&
      (effect === "" || effect === "NoExecute"),
  );
  if (fitting.length === 0) return TOLERATED_SECONDS;
  const times = fitting.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
  return times.length === 0 ? undefined : Math.max(0, Math.min(...times));
}
