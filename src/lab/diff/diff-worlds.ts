import type { Recording } from "../../core/recording.js";
import { connectivityMatrix } from "../../kube/policy/matrix.js";
import { diffMatrices, type MatrixDiff } from "../../kube/policy/matrix-diff.js";
import { policyWorldOf } from "../policies.js";
import { type TraceRequest, traceRequest } from "../trace.js";
import type { World } from "../world.js";
import { diffObjects, type ObjectChange } from "./diff-objects.js";
import { diffRules, type RuleDiff } from "./diff-rules.js";

/** What of two worlds is not the same. */
export interface WorldDiff {
  /** Undefined where a world has no objects. */
  readonly objects: readonly ObjectChange[] | undefined;
  readonly rules: RuleDiff;
  /** Pairs of pods whose NetworkPolicy verdict changes; undefined where that was not compared. */
  readonly pairs: MatrixDiff | undefined;
  /** The same request in both. */
  readonly traces: { readonly before: Recording; readonly after: Recording } | undefined;
}

/** Pairs of more pods than this take `hopwise matrix --diff`. */
const MOST_PODS = 2_000;

/** Compares objects, rules, who may reach whom, and, when asked, what becomes of one request. */
export function diffWorlds(
  before: World,
  after: World,
  request: TraceRequest | undefined,
): WorldDiff {
  const clusters = before.kind === "cluster" && after.kind === "cluster";
  const small =
    clusters && Math.max(before.cluster.pods.length, after.cluster.pods.length) <= MOST_PODS;
  const matrixOf = (world: World): ReturnType<typeof connectivityMatrix> | undefined =>
    world.kind === "cluster"
      ? connectivityMatrix(policyWorldOf(world), {
          namespaces: undefined,
          ports: undefined,
          grouped: false,
        })
      : undefined;
  const [old, fresh] = small ? [matrixOf(before), matrixOf(after)] : [];
  return {
    objects: clusters ? diffObjects(before.cluster, after.cluster) : undefined,
    rules: diffRules(before, after),
    pairs: old === undefined || fresh === undefined ? undefined : diffMatrices(old, fresh),
    traces:
      request === undefined
        ? undefined
        : { before: traceRequest(before, request), after: traceRequest(after, request) },
  };
}

/** Whether anything differs. */
export function isSame({ objects = [], rules, pairs }: WorldDiff): boolean {
  const changed = pairs === undefined ? 0 : pairs.opened + pairs.closed + pairs.other;
  return objects.length === 0 && rules.changes.length === 0 && changed === 0;
}
