import type { Pod } from "kubernetes-types/core/v1.js";
import { throwCollected } from "../../base/errors.js";
import type { RuleMaker } from "../../core/recording.js";
import type { Simulation } from "../../core/simulation.js";
import { buildCluster, type Cluster, type ClusterPod } from "../../kube/cluster.js";
import { chooseConflist } from "../../kube/cni/conflist.js";
import type { PodState } from "../../kube/controllers/running-pods.js";
import { loadObjects, type LoadResult } from "../../kube/load.js";
import { keyOf, type Loaded } from "../../kube/objects.js";
import { podNamespace } from "../../kube/nodes.js";
import { validatePolicies } from "../../kube/policy/validate.js";
import { policyObjectsOf } from "../../kube/policy/world.js";
import { type Micros, microseconds, milliseconds } from "../../sim/time.js";
import { removeNamespace } from "../../tools/ip-netns.js";
import { enableIpv6, programs, startListener } from "../build.js";
import { listenersOf, nodeRuleInputs } from "../cluster-lab.js";
import { buildLiveCluster, dnsPods, type LiveCluster } from "../live-cluster.js";
import type { ClusterWorld } from "../world.js";
import { type AgentWorld, NodeAgents, runsOn } from "./node-agents.js";
import { NodeOutages } from "./node-outages.js";
import { without } from "./object-edits.js";
import { runAgent, tellObject } from "./run-command.js";
import type { ScenarioSettings } from "./scenario.js";
import {
  endpointTexts,
  refuseMode,
  refuseMove,
  refuseNodes,
  refuseRecords,
} from "./cluster-differences.js";

/** From the end of a pod's programs to that of its sandbox and its object. Differs: a kubelet takes up to a second or two. */
export const SANDBOX_TIME: Micros = milliseconds(100);

/** How a pod is taken away. */
export interface Deletion {
  /** From SIGTERM to SIGKILL. */
  readonly grace: Micros;
  /** When its programs end by themselves; undefined when they wait to be killed. */
  readonly exits: Micros | undefined;
  readonly why: string;
}

/**
 * A cluster that runs: its objects, what the controllers make of them, its nodes and pods as namespaces, and the agents that
 * keep each node as the objects say. Every change goes the way it goes in a cluster: objects, controllers, agents' commands.
 */
export class LivingCluster {
  readonly world: ClusterWorld;
  readonly live: LiveCluster;
  cluster: Cluster;
  load: LoadResult;
  readonly makers: Map<string, RuleMaker>;
  readonly #settings: ScenarioSettings;
  readonly #agents: readonly NodeAgents[];
  readonly #states = new Map<string, PodState>();
  readonly #leaving = new Map<string, Loaded<Pod>>();
  readonly #past = new Set<string>();
  /** Pods that nobody wants and that wait for others to be gone. */
  readonly #waiting = new Set<string>();
  readonly outages: NodeOutages;
  /** What kubelets of nodes that cannot be reached will do about pods, by pod. */
  readonly #stuck = new Map<string, { readonly node: string; readonly act: () => void }>();

  /** Builds every node and pod of the world. Throws UserError for what a scenario cannot change. */
  constructor(world: ClusterWorld, seed: number, settings: ScenarioSettings) {
    const { config } = nodeRuleInputs(world.cluster);
    refuseRecords(world);
    refuseMode(config);
    this.world = world;
    this.#settings = settings;
    this.cluster = world.cluster;
    this.load = loadObjects(world.files.filter(({ kind }) => kind === "kubernetes"));
    this.live = buildLiveCluster(world, seed);
    this.makers = new Map(this.live.makers);
    const agents: AgentWorld = {
      sim: this.live.sim,
      makers: this.makers,
      config,
      conntrackCleanup: settings.conntrackCleanup,
    };
    this.#agents = world.cluster.nodes.map((node) => new NodeAgents(agents, world.cluster, node));
    for (const pod of world.cluster.pods) this.#states.set(pod.key, stateOf(pod));
    this.outages = new NodeOutages({
      sim: this.live.sim,
      cluster: () => this.cluster,
      load: () => this.load,
      change: (load) => this.change(load),
      setReady: (key, ready, why) => this.setReady(key, ready, why),
      evict: (pod, why) => this.deletePod(pod, { ...deletionOf(pod), why }),
      resume: (node) => this.#resume(node),
    });
  }

  get sim(): Simulation {
    return this.live.sim;
  }

  /** Takes new objects over: controllers, then agents. Throws UserError for objects that do not fit together. */
  change(load: LoadResult): void {
    for (const pod of load.objects.Pod) refuseMove(pod, this.#states.get(keyOf(pod.object)));
    const before = this.load;
    this.load = load;
    try {
      this.#reconcile();
    } catch (error) {
      this.load = before;
      throw error;
    }
  }

  pod(key: string): ClusterPod | undefined {
    return this.cluster.pods.find((pod) => pod.key === key);
  }

  /** Begins to delete a pod, as `kubectl delete pod` does. */
  deletePod(pod: ClusterPod, deletion: Deletion): void {
    this.#terminate(pod, deletion);
    this.#reconcile();
  }

  /** Sets a pod's Ready condition. */
  setReady(key: string, ready: boolean | undefined, why: string): void {
    const state = this.#states.get(key);
    if (state === undefined) return;
    this.#states.set(key, { ...state, ready });
    const word = ready === false ? "not Ready" : "Ready";
    this.#tell("changed", `Pod ${key}`, "kubelet", `${word}: ${why}`);
    this.#reconcile();
  }

  /** Ends the programs of a pod: the kernel closes their sockets. */
  stopPrograms(key: string, why: string): void {
    const ns = this.#namespaceOf(key);
    if (ns === undefined) return;
    this.#tell("deleted", `the programs of pod ${key}`, "kubelet", why, ns.name);
    for (const program of programs(ns)) program.stop();
    programs(ns).clear();
  }

  startPrograms(pod: ClusterPod, why: string): void {
    const isDns = dnsPods(this.cluster).some(({ key }) => key === pod.key);
    const ns = podNamespace(pod);
    for (const listener of listenersOf(this.cluster, [{ ...pod, ready: true }]))
      if (listener.ns === ns && !(isDns && listener.port === 53)) startListener(this.sim, listener);
    if (isDns) this.live.startDnsIn(pod);
    this.#tell("created", `the programs of pod ${pod.key}`, "kubelet", why, ns);
  }

  /** SIGTERM now; what is left when the grace period is over is killed. */
  #terminate(pod: ClusterPod, { grace, exits, why }: Deletion): void {
    const { key } = pod;
    const state = this.#states.get(key) ?? stateOf(pod);
    const end = exits !== undefined && exits < grace ? exits : grace;
    this.#states.set(key, { ...state, deletionTimestamp: timestamp(this.sim.queue.now) });
    if (this.load.objects.Pod.every((one) => keyOf(one.object) !== key)) {
      this.#past.add(pod.name);
      this.#leaving.set(key, withoutOwner(pod.loaded));
    }
    const seconds = grace / 1_000_000;
    this.#tell("changed", `Pod ${key}`, "kubelet", `terminating, grace ${seconds} s: ${why}`);
    const last = end === grace ? "grace period over: SIGKILL" : "they end at SIGTERM";
    const kill = (): void => {
      this.stopPrograms(key, last);
      this.sim.queue.after(SANDBOX_TIME, `pod ${key} is gone`, () => this.#finish(pod));
    };
    if (this.outages.isDown(pod.node)) {
      this.#stuck.set(key, { node: pod.node ?? "", act: kill });
      return;
    }
    if (end === 0) kill();
    else this.sim.queue.after(end, `pod ${key} ends`, kill);
  }

  /** A node hears of everything again: its kubelet ends what was to be ended, its agents write what they missed. */
  #resume(node: string): void {
    for (const [key, { node: where, act }] of this.#stuck) {
      if (where !== node) continue;
      this.#stuck.delete(key);
      act();
    }
    for (const agents of this.#agents.filter(({ name }) => name === node)) {
      agents.syncRoutes(this.cluster);
      agents.syncProxy(this.cluster);
      agents.syncPolicies(this.cluster);
    }
  }

  /** The sandbox goes, and then the object. Mirrors pkg/kubelet/kubelet.go:SyncTerminatedPod(). */
  #finish(pod: ClusterPod): void {
    const { key } = pod;
    const ns = this.#namespaceOf(key);
    if (ns !== undefined) {
      this.#agents.find(({ name }) => name === pod.node)?.detach(key);
      removeNamespace(ns);
      this.#tell("deleted", `namespace ${key}`, "kubelet", "the sandbox is taken away", pod.node);
    }
    this.#states.delete(key);
    this.#leaving.delete(key);
    this.load = without(this.load, "Pod", key);
    this.#tell("deleted", `Pod ${key}`, "kubelet", "it has ended");
    this.#reconcile();
  }

  /** Runs the controllers until they want nothing more, then the agents of the nodes. */
  #reconcile(): void {
    for (const key of this.#waiting) this.#leaving.delete(key);
    this.#waiting.clear();
    let next = this.#build();
    for (const pod of this.cluster.pods) {
      const gone = next.pods.every(({ key }) => key !== pod.key) && this.#states.has(pod.key);
      if (!gone) continue;
      if (this.#waitsForSuccessors(pod)) {
        this.#waiting.add(pod.key);
        this.#leaving.set(pod.key, withoutOwner(pod.loaded));
        next = this.#build();
        continue;
      }
      this.#terminate(pod, { ...deletionOf(pod), why: "no workload wants it any more" });
      next = this.#build();
    }
    const old = this.cluster;
    this.cluster = next;
    this.live.show(next);
    this.#tellSlices(old, next);
    for (const pod of next.pods) if (this.#isNew(pod)) this.#create(pod);
    for (const agents of this.#agents)
      if (!this.outages.isDown(agents.name)) agents.syncRoutes(next);
    this.#later(this.#settings.proxyDelay, "kube-proxy", (agents) =>
      agents.syncProxy(this.cluster),
    );
    this.#later(this.#settings.policyDelay, "kube-router", (agents) =>
      agents.syncPolicies(this.cluster),
    );
  }

  /**
   * Pods of a StatefulSet that is made smaller go one by one, the last first. Mirrors
   * pkg/controller/statefulset/stateful_set_control.go:processCondemned().
   */
  #waitsForSuccessors({ key, name, namespace, workload }: ClusterPod): boolean {
    if (workload?.kind !== "StatefulSet") return false;
    const owner = this.load.objects.StatefulSet.find(
      ({ object }) => keyOf(object) === `${namespace}/${workload.name}`,
    );
    if (owner === undefined || owner.object.spec?.podManagementPolicy === "Parallel") return false;
    const ordinal = (text: string): number => Number(/-(\d+)$/.exec(text)?.[1] ?? -1);
    return [...this.#states.keys()].some(
      (other) =>
        other !== key &&
        other.replace(/-\d+$/, "") === `${namespace}/${workload.name}` &&
        ordinal(other) > ordinal(name),
    );
  }

  #build(): Cluster {
    const conflist = chooseConflist(this.world.files.filter(({ kind }) => kind === "conflist"));
    const running = {
      states: this.#states,
      leaving: [...this.#leaving.values()],
      names: this.#past,
      ipam: new Map(this.#agents.map((agents) => [agents.name, agents.ipamFiles()])),
    };
    const cluster = buildCluster(this.load, { conflist, running });
    throwCollected(validatePolicies(policyObjectsOf(cluster)));
    refuseNodes(this.cluster, cluster);
    return cluster;
  }

  /** A pod that was not there, or that no node would take until now. */
  #isNew({ key, node }: ClusterPod): boolean {
    const state = this.#states.get(key);
    return state === undefined || (state.node === undefined && node !== undefined);
  }

  /** A pod that a node takes: its sandbox, its network, its programs. */
  #create(pod: ClusterPod): void {
    this.#states.set(pod.key, stateOf(pod));
    const where = pod.node === undefined ? (pod.pending ?? "Pending") : `on ${pod.node}`;
    this.#tell("created", `Pod ${pod.key}`, "scheduler", where);
    const agents = this.#agents.find(({ name }) => runsOn(pod, { name }));
    if (agents === undefined) return;
    if (!pod.hostNetwork) {
      this.sim.createNamespace(pod.key);
      if (this.cluster.networks.families.includes(6)) enableIpv6(this.sim, pod.key);
      this.#tell("created", `namespace ${pod.key}`, "kubelet", "a sandbox", pod.node);
      const up = { ns: pod.key, argv: ["ip", "link", "set", "lo", "up"] };
      runAgent(this.sim, up, { by: "kubelet", why: `a sandbox for pod ${pod.key}` });
      agents.attach(pod);
    }
    this.startPrograms(pod, "containers started");
  }

  /** Endpoints are what most of a change is about. */
  #tellSlices(before: Cluster, after: Cluster): void {
    const old = endpointTexts(before);
    const now = endpointTexts(after);
    for (const service of new Set([...old.keys(), ...now.keys()])) {
      if (old.get(service) === now.get(service)) continue;
      const why = now.get(service) ?? "no EndpointSlice any more";
      this.#tell("changed", `endpoints of Service ${service}`, "endpointslice-controller", why);
    }
  }

  #later(delay: Micros, what: string, act: (agents: NodeAgents) => void): void {
    for (const agents of this.#agents) {
      const sync = (): void => {
        if (!this.outages.isDown(agents.name)) act(agents);
      };
      if (delay === 0) sync();
      else this.sim.queue.after(delay, `${what} on ${agents.name}`, sync);
    }
  }

  #namespaceOf(key: string): ReturnType<Simulation["namespaces"]["get"]> {
    const pod = this.pod(key);
    return pod?.hostNetwork === true ? undefined : this.sim.namespaces.get(key);
  }

  #tell(
    action: "created" | "changed" | "deleted",
    object: string,
    by: string,
    why: string,
    ns = "",
  ): void {
    tellObject(this.sim, { ns, action, object, by, why });
  }
}

/** What a pod asks for itself when nobody says how it is to be deleted. */
export function deletionOf({ loaded }: ClusterPod): Pick<Deletion, "grace" | "exits"> {
  const seconds = loaded.object.spec?.terminationGracePeriodSeconds ?? 30;
  return { grace: microseconds(seconds * 1_000_000), exits: undefined };
}

function stateOf({ node, loaded }: ClusterPod): PodState {
  return {
    node,
    addresses: (loaded.object.status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []),
    ready: undefined,
    deletionTimestamp: undefined,
  };
}

/** The simulation has no date: it begins with 2025. */
function timestamp(now: Micros): string {
  const seconds = Math.floor(now / 1_000_000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = 1 + Math.floor(seconds / 86_400);
  return `2025-01-${two(day)}T${two(Math.floor(seconds / 3_600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}Z`;
}

/** The workload goes on without it. */
function withoutOwner({ object, origin }: Loaded<Pod>): Loaded<Pod> {
  const { ownerReferences: _owners, ...metadata } = object.metadata ?? {};
  return { object: { ...object, metadata }, origin };
}
