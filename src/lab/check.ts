import { counted } from "../base/counted.js";
import type { Place } from "../base/errors.js";
import type { Cluster } from "../kube/cluster.js";
import { checkClusterRecords, checkRecorded } from "./recorded/check-recorded.js";
import { type CheckPolicyOptions, checkPolicies } from "./check-policies.js";
import { recordedGaps } from "./cluster-lab.js";
import { checkServices } from "./check-services.js";
import { policiesNotRendered } from "./policies.js";
import { proxyModeNotes } from "./proxy-mode.js";
import { unusedFiles, type World } from "./world.js";

/** What there is to say about a world that could be read and built. */
export interface CheckReport {
  readonly summary: string;
  readonly files: readonly {
    readonly file: string;
    readonly kind: string;
    readonly used: boolean;
  }[];
  readonly notes: readonly CheckNote[];
}

export interface CheckNote {
  /**
   * `recorded` and `rendered` say where a part of a node comes from, `missing` what was not given, `note` what was
   * assumed or passed over, `unmodelled` what can make an answer UNKNOWN; `error`, `warning` and `info` are what lint
   * finds in policies.
   */
  readonly what:
    | "recorded"
    | "rendered"
    | "missing"
    | "note"
    | "unmodelled"
    | "error"
    | "warning"
    | "info";
  readonly text: string;
  readonly place: Place | undefined;
}

/** Lists what was read, assumed, unused and not modelled. */
export function checkWorld(world: World, options: CheckPolicyOptions = {}): CheckReport {
  const unused = new Set(unusedFiles(world));
  const files = world.files.map((file) => ({
    file: file.file,
    kind: file.kind,
    used: !unused.has(file),
  }));
  if (world.kind === "recorded") return { files, ...checkRecorded(world) };
  if (world.kind === "lab") {
    const { namespaces, listeners, probes } = world.lab;
    return {
      summary: `lab ${world.lab.name}: ${counted(namespaces.length, "namespace")}, ${counted(listeners.length, "listener")}, ${counted(probes.length, "probe")}`,
      files,
      notes: [],
    };
  }
  const { nodes, pods, services, objects, notes } = world.cluster;
  const policies = objects.NetworkPolicy;
  return {
    summary: [
      counted(nodes.length, "node"),
      counted(pods.length, "pod"),
      counted(services.length, "service"),
      counted(policies.length, "policy", "policies"),
    ].join(", "),
    files,
    notes: [
      ...notes.map(({ text, place }) => ({ what: "note" as const, text, place })),
      ...checkClusterRecords(
        world.records,
        nodes.map(({ name }) => name),
        recordedGaps(world),
      ),
      ...[...proxyModeNotes(world.cluster), ...policiesNotRendered(world.cluster, [])].map(
        (text) => ({
          what: "unmodelled" as const,
          text,
          place: undefined,
        }),
      ),
      ...policyChainNotes(world.cluster),
      ...checkServices(world.cluster),
      ...checkPolicies(world.cluster, options),
    ],
  };
}

/** Policies of a network whose own chains are not rendered. */
function policyChainNotes({ network, objects }: Cluster): readonly CheckNote[] {
  const [first] = objects.NetworkPolicy;
  if (network.kind !== "calico" || first === undefined) return [];
  const text =
    "Calico's policy chains are not rendered; a trace asks the policy evaluator, and ends UNKNOWN where that refuses";
  return [{ what: "unmodelled", text, place: first.origin.placeOf([]) }];
}
