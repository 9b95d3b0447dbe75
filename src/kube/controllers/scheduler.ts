import type { Container, Node, PodSpec, Taint, Toleration } from "kubernetes-types/core/v1.js";
import { nameOf } from "../objects.js";
import { labelOf, type Labels, matchesMap, meets, type Requirement } from "../selectors.js";

/** Where a pod landed, or why it is Pending: the scheduler's own message. */
export type Placement = { readonly node: string } | { readonly pending: string };

/**
 * Places pods one after the other: of the nodes that a pod can run on, the one with the fewest pods of its workload,
 * then with the fewest pods, then the first by name. Differs: the real scheduler scores by resources and draws lots.
 */
export class Scheduler {
  readonly #nodes: readonly Node[];
  readonly #pods = new Map<string, number>();
  readonly #ofWorkload = new Map<string, number>();
  readonly #hostPorts = new Map<string, Set<string>>();

  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  /** Places a pod of a workload (any text that is the same for its pods). `spec.nodeName` is obeyed without a check. */
  place(spec: PodSpec, workload: string): Placement {
    if (spec.nodeName !== undefined && spec.nodeName !== "")
      return this.#bind(spec, workload, spec.nodeName);
    const refusals = new Map<string, number>();
    let best: string | undefined;
    let bestScore: readonly [number, number] = [0, 0];
    for (const node of this.#nodes) {
      const name = nameOf(node);
      const refusal = refusalOf(spec, node) ?? this.#portConflict(spec, name);
      if (refusal !== undefined) {
        refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
        continue;
      }
      const score = [
        this.#ofWorkload.get(`${name} ${workload}`) ?? 0,
        this.#pods.get(name) ?? 0,
      ] as const;
      if (
        best !== undefined &&
        (score[0] > bestScore[0] || (score[0] === bestScore[0] && score[1] >= bestScore[1]))
      )
        continue;
      best = name;
      bestScore = score;
    }
    if (best !== undefined) return this.#bind(spec, workload, best);
    const reasons = [...refusals].map(([reason, nodes]) => `${nodes} ${reason}`).join(", ");
    return {
      pending: `0/${this.#nodes.length} nodes are available: ${reasons === "" ? "there are no nodes" : reasons}.`,
    };
  }

  #bind(spec: PodSpec, workload: string, node: string): Placement {
    this.#pods.set(node, (this.#pods.get(node) ?? 0) + 1);
    const key = `${node} ${workload}`;
    this.#ofWorkload.set(key, (this.#ofWorkload.get(key) ?? 0) + 1);
    const wanted = hostPortsOf(spec);
    if (wanted.length > 0) {
      const used = this.#hostPorts.get(node) ?? new Set<string>();
      this.#hostPorts.set(node, used);
      for (const port of wanted) used.add(port);
    }
    return { node };
  }

  #portConflict(spec: PodSpec, node: string): string | undefined {
    const used = this.#hostPorts.get(node);
    if (used === undefined) return undefined;
    const clash = hostPortsOf(spec).some((wanted) =>
      [...used].some((taken) => portsClash(wanted, taken)),
    );
    return clash ? "node(s) didn't have free ports for the requested pod ports" : undefined;
  }
}

/** Whether a pod may run on a node. DaemonSet pods (`daemon`) tolerate what the DaemonSet controller makes them tolerate. */
export function canRunOn(
  spec: PodSpec,
  node: Node,
  options: { readonly daemon: boolean },
): boolean {
  return (
    refusalOf(
      options.daemon
        ? { ...spec, tolerations: [...(spec.tolerations ?? []), ...tolerationsOfDaemons(spec)] }
        : spec,
      node,
    ) === undefined
  );
}

const daemonTolerations: readonly Toleration[] = [
  "node.kubernetes.io/not-ready",
  "node.kubernetes.io/unreachable",
  "node.kubernetes.io/disk-pressure",
  "node.kubernetes.io/memory-pressure",
  "node.kubernetes.io/pid-pressure",
  "node.kubernetes.io/unschedulable",
].map((key) => ({ key, operator: "Exists" }));

/** A pod of the host network need not wait for the pod network. Mirrors pkg/controller/daemon/util:AddOrUpdateDaemonPodTolerations(). */
function tolerationsOfDaemons({ hostNetwork }: PodSpec): readonly Toleration[] {
  const network = { key: "node.kubernetes.io/network-unavailable", operator: "Exists" };
  return hostNetwork === true ? [...daemonTolerations, network] : daemonTolerations;
}

/** Why the scheduler would not use this node, in its words; undefined when it would. */
function refusalOf(spec: PodSpec, node: Node): string | undefined {
  const tolerations = spec.tolerations ?? [];
  const unschedulable: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
  if (node.spec?.unschedulable === true && !tolerated(unschedulable, tolerations))
    return "node(s) were unschedulable";
  for (const taint of node.spec?.taints ?? []) {
    if (taint.effect !== "NoSchedule" && taint.effect !== "NoExecute") continue;
    if (!tolerated(taint, tolerations))
      return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  }
  const labels = node.metadata?.labels ?? {};
  const affinity = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const selected = matchesMap(spec.nodeSelector ?? {}, labels);
  const wanted =
    affinity === undefined ||
    affinity.nodeSelectorTerms.some((term) => matchesTerm(term, node, labels));
  return selected && wanted ? undefined : "node(s) didn't match Pod's node affinity/selector";
}

function tolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  return tolerations.some(({ key = "", operator = "Equal", value = "", effect = "" }) => {
    if (effect !== "" && effect !== taint.effect) return false;
    if (key === "") return operator === "Exists";
    return key === taint.key && (operator === "Exists" || value === (taint.value ?? ""));
  });
}

function matchesTerm(
  term: {
    readonly matchExpressions?: readonly Requirement[];
    readonly matchFields?: readonly Requirement[];
  },
  node: Node,
  labels: Labels,
): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => meets(requirement, labelOf(labels, requirement.key))) &&
    matchFields.every((requirement) =>
      meets(requirement, requirement.key === "metadata.name" ? nameOf(node) : undefined),
    )
  );
}

/** `protocol/address/port` of each host port; a host network pod's ports are host ports. */
function hostPortsOf(spec: PodSpec): readonly string[] {
  const containers: readonly Container[] = spec.containers;
  return containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, hostIP, containerPort, protocol }) => {
      const port =
        hostPort === undefined || hostPort === 0
          ? spec.hostNetwork === true
            ? containerPort
            : undefined
          : hostPort;
      return port === undefined ? [] : [`${protocol ?? "TCP"}/${hostIP ?? "0.0.0.0"}/${port}`];
    }),
  );
}

function portsClash(a: string, b: string): boolean {
  const [protocolA, addressA, portA] = a.split("/");
  const [protocolB, addressB, portB] = b.split("/");
  if (protocolA !== protocolB || portA !== portB) return false;
  return addressA === addressB || addressA === "0.0.0.0" || addressB === "0.0.0.0";
}
