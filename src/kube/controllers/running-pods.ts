import type { Pod } from "kubernetes-types/core/v1.js";
import type { Loaded } from "../objects.js";
import { keyOf } from "../objects.js";
import type { WorkloadPod } from "./workloads.js";

/** What happened to a pod since it was made: what its status and metadata say of it beside its object. */
export interface PodState {
  readonly node: string | undefined;
  /** As its status lists them; none while it has none. */
  readonly addresses: readonly string[];
  /** What its Ready condition was set to; undefined for what the object says. */
  readonly ready: boolean | undefined;
  /** The pod is being deleted since then: RFC 3339. */
  readonly deletionTimestamp: string | undefined;
}

/** The pods of a cluster that has run for a while. */
export interface RunningPods {
  /** By `namespace/name`: a pod stays on its node and keeps its address. */
  readonly states: ReadonlyMap<string, PodState>;
  /** Pods that no workload wants any more, and that are still there. */
  readonly leaving: readonly Loaded<Pod>[];
  /** Names of pods of the past: a controller gives none of them again. */
  readonly names: ReadonlySet<string>;
  /** The files in which each node's IPAM remembers the address that it gave last. */
  readonly ipam: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** The pods that are wanted and those that are leaving, each as it runs. */
export function withRunningPods(
  wanted: readonly WorkloadPod[],
  { states, leaving }: RunningPods,
): readonly WorkloadPod[] {
  const keys = new Set(wanted.map(({ loaded }) => keyOf(loaded.object)));
  const others = leaving
    .filter(({ object }) => !keys.has(keyOf(object)))
    .map((loaded): WorkloadPod => ({ loaded, workload: undefined }));
  return [...wanted, ...others].map((pod) => {
    const state = states.get(keyOf(pod.loaded.object));
    if (state === undefined) return pod;
    const { origin, object } = pod.loaded;
    return { ...pod, loaded: { origin, object: inState(object, state) } };
  });
}

function inState(pod: Pod, { node, addresses, ready, deletionTimestamp }: PodState): Pod {
  const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type !== "Ready");
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    spec: {
      ...(pod.spec ?? { containers: [] }),
      ...(node === undefined ? {} : { nodeName: node }),
    },
    status: {
      ...pod.status,
      ...(addresses[0] === undefined
        ? {}
        : { podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) }),
      ...(ready === undefined
        ? {}
        : { conditions: [...conditions, { type: "Ready", status: ready ? "True" : "False" }] }),
    },
  };
}
