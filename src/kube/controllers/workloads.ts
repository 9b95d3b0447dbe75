import type { Job, JobSpec } from "kubernetes-types/batch/v1.js";
import type { Node, Pod, PodTemplateSpec } from "kubernetes-types/core/v1.js";
import type { LabelSelector, ObjectMeta, OwnerReference } from "kubernetes-types/meta/v1.js";
import { UserError } from "../../base/errors.js";
import type { LoadResult } from "../load.js";
import type { FieldPath } from "../load/source-text.js";
import {
  childOrigin,
  type HasMetadata,
  keyOf,
  type Kind,
  type Loaded,
  nameOf,
  namespaceOf,
} from "../objects.js";
import { type Labels, matchesMap, matchesSelector } from "../selectors.js";
import { isReady } from "./endpoint-slices.js";
import type { RunningPods } from "./running-pods.js";
import { generateName, templateHash } from "./names.js";
import { canRunOn } from "./scheduler.js";

/** A pod, and the workload that a user would name for it: the Deployment, not its ReplicaSet. */
export interface WorkloadPod {
  readonly loaded: Loaded<Pod>;
  readonly workload: { readonly kind: Kind; readonly name: string } | undefined;
}

/** The most pods that one world may have. */
export const MAX_PODS = 100_000;

/**
 * All pods of a world: those given, then those that the workloads would make, in the order Deployments, ReplicaSets,
 * StatefulSets, DaemonSets, ReplicationControllers, Jobs, CronJobs, each in the order of the texts. A workload whose
 * pods are given makes none. Wrong workloads are added to `errors`. Where the cluster runs already, names of the past are not
 * given again, and the pods of a StatefulSet wait for those before them.
 */
export function expandWorkloads(
  objects: LoadResult["objects"],
  nodes: readonly Loaded<Node>[],
  errors: UserError[],
  running?: RunningPods,
): readonly WorkloadPod[] {
  const expansion = new Expansion(objects, nodes, errors, running);
  return expansion.run();
}

interface Parent {
  readonly kind: Kind;
  readonly loaded: Loaded<HasMetadata>;
  readonly template: PodTemplateSpec | undefined;
  /** Where the template stands in the parent's text. */
  readonly templatePath: FieldPath;
  /** The workload the user would name. */
  readonly workload: { readonly kind: Kind; readonly name: string };
}

interface ChildOptions {
  readonly name: string;
  readonly labels?: Labels;
  readonly owner?: OwnerReference;
  readonly spec?: Readonly<Record<string, string>>;
}

class Expansion {
  readonly #objects: LoadResult["objects"];
  readonly #nodes: readonly Loaded<Node>[];
  readonly #errors: UserError[];
  readonly #pods: WorkloadPod[] = [];
  readonly #owned: ReadonlySet<string>;
  readonly #taken: Set<string>;
  readonly #running: RunningPods | undefined;

  constructor(
    objects: LoadResult["objects"],
    nodes: readonly Loaded<Node>[],
    errors: UserError[],
    running: RunningPods | undefined,
  ) {
    this.#objects = objects;
    this.#nodes = nodes;
    this.#errors = errors;
    this.#running = running;
    this.#owned = ownersOf([...objects.Pod, ...objects.ReplicaSet, ...objects.Job]);
    this.#taken = new Set([
      ...objects.Pod.map(({ object }) => nameOf(object)),
      ...(running?.names ?? []),
    ]);
  }

  run(): readonly WorkloadPod[] {
    const { Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, Job, CronJob } =
      this.#objects;
    for (const loaded of this.#objects.Pod)
      this.#pods.push({ loaded, workload: this.#workloadOf(loaded.object) });
    for (const loaded of Deployment)
      this.#each("Deployment", loaded, (parent) => this.#deployment(parent, loaded.object.spec));
    for (const loaded of ReplicaSet) {
      this.#each("ReplicaSet", loaded, (parent) =>
        this.#replicas(parent, loaded.object.spec?.replicas ?? 1),
      );
    }
    for (const loaded of StatefulSet)
      this.#each("StatefulSet", loaded, (parent) => this.#statefulSet(parent, loaded.object.spec));
    for (const loaded of DaemonSet)
      this.#each("DaemonSet", loaded, (parent) => this.#daemonSet(parent));
    for (const loaded of ReplicationController) {
      this.#each("ReplicationController", loaded, (parent) =>
        this.#replicas(parent, loaded.object.spec?.replicas ?? 1),
      );
    }
    for (const loaded of Job)
      this.#each("Job", loaded, (parent) => this.#job(parent, loaded.object.spec));
    for (const loaded of CronJob) this.#cronJob(loaded);
    return this.#pods;
  }

  /** Runs `make` for a workload that is well formed and whose children are not given. */
  #each(
    kind: Kind,
    loaded: Loaded<HasMetadata & { readonly spec?: WorkloadSpec }>,
    make: (parent: Parent) => void,
  ): void {
    const { object, origin } = loaded;
    const { spec } = object;
    const name = nameOf(object);
    if (this.#hasChildren(kind, object)) return;
    const template = spec?.template;
    if (template?.spec?.containers === undefined || template.spec.containers.length === 0) {
      const path: FieldPath =
        template?.spec === undefined ? ["spec"] : ["spec", "template", "spec"];
      this.#fail(
        "K8S_NO_CONTAINERS",
        `${kind} ${keyOf(object)}: the pod template has no containers`,
        loaded,
        path,
      );
      return;
    }
    const needed =
      kind !== "Job" && !(kind === "ReplicationController" && spec?.selector === undefined);
    if (needed && !selects(spec?.selector, template.metadata?.labels)) {
      const message = `${kind} ${keyOf(object)}: \`selector\` does not match template \`labels\``;
      this.#fail(
        "K8S_SELECTOR_MISMATCH",
        message,
        loaded,
        spec?.selector === undefined ? ["spec"] : ["spec", "selector"],
      );
      return;
    }
    make({
      kind,
      loaded: { object, origin },
      template,
      templatePath: ["spec", "template"],
      workload: { kind, name },
    });
  }

  #deployment(parent: Parent, spec: { readonly replicas?: number } | undefined): void {
    const hash = templateHash(parent.template);
    const { object, origin } = parent.loaded;
    const metadata = { name: `${nameOf(object)}-${hash}`, namespace: namespaceOf(object) };
    const replicaSet: Parent = {
      ...parent,
      kind: "ReplicaSet",
      loaded: { object: { metadata }, origin },
    };
    this.#replicas(replicaSet, spec?.replicas ?? 1, { "pod-template-hash": hash });
  }

  #replicas(parent: Parent, replicas: number, labels: Labels = {}): void {
    const { object } = parent.loaded;
    for (let index = 0; index < replicas && this.#room(parent); index++) {
      const name = generateName(`${nameOf(object)}-`, `${keyOf(object)}/${index}`, this.#taken);
      this.#add(parent, { name, labels });
    }
  }

  #statefulSet(
    parent: Parent,
    spec:
      | {
          readonly replicas?: number;
          readonly serviceName?: string;
          readonly ordinals?: { readonly start?: number };
          readonly podManagementPolicy?: string;
        }
      | undefined,
  ): void {
    const start = spec?.ordinals?.start ?? 0;
    const owner = nameOf(parent.loaded.object);
    const revision = `${owner}-${templateHash(parent.template)}`;
    const inOrder = spec?.podManagementPolicy !== "Parallel";
    for (let index = start; index < start + (spec?.replicas ?? 1) && this.#room(parent); index++) {
      const name = `${owner}-${index}`;
      const before = this.#pods.at(-1);
      if (inOrder && index > start && before !== undefined && this.#mustWait(parent, name, before))
        return;
      const labels = {
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": String(index),
        "controller-revision-hash": revision,
      };
      const subdomain = spec?.serviceName;
      this.#add(parent, {
        name,
        labels,
        spec: { hostname: name, ...(subdomain === undefined ? {} : { subdomain }) },
      });
    }
  }

  /**
   * A pod that is not there yet comes when the one before it runs and is ready. Mirrors
   * pkg/controller/statefulset/stateful_set_control.go:processReplica().
   */
  #mustWait(parent: Parent, name: string, { loaded: before }: WorkloadPod): boolean {
    const namespace = namespaceOf(parent.loaded.object);
    if (this.#running?.states.has(`${namespace}/${name}`) === true) return false;
    const state = this.#running?.states.get(keyOf(before.object));
    if (state?.deletionTimestamp !== undefined) return true;
    return !(state?.ready ?? isReady(before.object));
  }

  #daemonSet(parent: Parent): void {
    const { object } = parent.loaded;
    const hash = templateHash(parent.template);
    for (const { object: node } of this.#nodes) {
      const spec = parent.template?.spec;
      if (spec === undefined || !canRunOn(spec, node, { daemon: true }) || !this.#room(parent))
        continue;
      const name = generateName(
        `${nameOf(object)}-`,
        `${keyOf(object)}/${nameOf(node)}`,
        this.#taken,
      );
      this.#add(parent, {
        name,
        labels: { "controller-revision-hash": hash, "pod-template-generation": "1" },
        spec: { nodeName: nameOf(node) },
      });
    }
  }

  #job(parent: Parent, spec: JobSpec | undefined): void {
    const { object } = parent.loaded;
    const job = nameOf(object);
    const wanted =
      spec?.suspend === true
        ? 0
        : Math.min(spec?.parallelism ?? 1, spec?.completions ?? Number.MAX_SAFE_INTEGER);
    const indexed = spec?.completionMode === "Indexed";
    const uid = object.metadata?.uid;
    const controller =
      uid === undefined ? {} : { "batch.kubernetes.io/controller-uid": uid, "controller-uid": uid };
    for (let index = 0; index < wanted && this.#room(parent); index++) {
      const base = indexed ? `${job}-${index}-` : `${job}-`;
      const name = generateName(base, `${keyOf(object)}/${index}`, this.#taken);
      const own = indexed ? { "batch.kubernetes.io/job-completion-index": String(index) } : {};
      this.#add(parent, {
        name,
        labels: { "batch.kubernetes.io/job-name": job, "job-name": job, ...controller, ...own },
      });
    }
  }

  /** A CronJob is shown as one run of its job. Differs: the real name ends in the minute it was scheduled for. */
  #cronJob(loaded: Loaded<NonNullable<LoadResult["objects"]["CronJob"][number]["object"]>>): void {
    const { object, origin } = loaded;
    if (object.spec?.suspend === true || this.#hasChildren("CronJob", object)) return;
    const jobTemplate = object.spec?.jobTemplate;
    const base: FieldPath = ["spec", "jobTemplate"];
    const name = `${nameOf(object)}-0`;
    const metadata = { ...jobTemplate?.metadata, name, namespace: namespaceOf(object) };
    const job: Job = {
      metadata,
      ...(jobTemplate?.spec === undefined ? {} : { spec: jobTemplate.spec }),
    };
    this.#each("Job", { object: job, origin: childOrigin(origin, base) }, (parent) => {
      this.#job({ ...parent, workload: { kind: "CronJob", name: nameOf(object) } }, job.spec);
    });
  }

  #add(parent: Parent, options: ChildOptions): void {
    const { template, loaded, kind } = parent;
    const owner: OwnerReference = {
      apiVersion: kind === "Job" ? "batch/v1" : kind === "ReplicationController" ? "v1" : "apps/v1",
      kind,
      name: nameOf(loaded.object),
      uid: "",
      controller: true,
    };
    const metadata: ObjectMeta = {
      ...template?.metadata,
      name: options.name,
      namespace: namespaceOf(loaded.object),
      labels: { ...template?.metadata?.labels, ...options.labels },
      ownerReferences: [owner],
    };
    const spec = { containers: [], ...template?.spec, ...options.spec };
    const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata, spec };
    const origin = childOrigin(loaded.origin, parent.templatePath);
    this.#pods.push({ loaded: { object: pod, origin }, workload: parent.workload });
  }

  /** Whether one more pod may be made; the limit is reported once, at the workload that hits it. */
  #room(parent: Parent): boolean {
    if (this.#pods.length < MAX_PODS) return true;
    if (!this.#errors.some(({ code }) => code === "LIMIT_PODS")) {
      this.#fail("LIMIT_PODS", `more than ${MAX_PODS} pods`, parent.loaded, ["spec", "replicas"]);
    }
    return false;
  }

  /** A given child settles it. So does a dump that has pods, for a workload that has a status: its pods are gone. */
  #hasChildren(kind: Kind, object: HasMetadata & { readonly status?: unknown }): boolean {
    if (this.#owned.has(`${kind} ${keyOf(object)}`)) return true;
    const status = object.status;
    const live = typeof status === "object" && status !== null && Object.keys(status).length > 0;
    return live && this.#objects.Pod.length > 0;
  }

  /** The workload of a given pod: its controller, or the controller of that. */
  #workloadOf(pod: Pod): WorkloadPod["workload"] {
    const owner = controllerOf(pod);
    // A static pod belongs to its node.
    if (owner === undefined || owner.kind === "Node") return undefined;
    if (owner.kind !== "ReplicaSet" && owner.kind !== "Job")
      return { kind: owner.kind as Kind, name: owner.name };
    const between = this.#objects[owner.kind].find(
      ({ object }) => nameOf(object) === owner.name && namespaceOf(object) === namespaceOf(pod),
    );
    const above = between === undefined ? undefined : controllerOf(between.object);
    if (above !== undefined) return { kind: above.kind as Kind, name: above.name };
    const hash = pod.metadata?.labels?.["pod-template-hash"];
    if (owner.kind === "ReplicaSet" && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
      return { kind: "Deployment", name: owner.name.slice(0, -hash.length - 1) };
    }
    return { kind: owner.kind, name: owner.name };
  }

  #fail(code: string, message: string, { origin }: Loaded<unknown>, path: FieldPath): void {
    this.#errors.push(new UserError(code, message, origin.details(path)));
  }
}

interface WorkloadSpec {
  readonly template?: PodTemplateSpec;
  readonly selector?: unknown;
}

/** A ReplicationController has a map and defaults to the labels; the others have a selector object and need it. */
function selects(selector: unknown, labels: Labels | undefined): boolean {
  if (typeof selector !== "object" || selector === null) return false;
  if ("matchLabels" in selector || "matchExpressions" in selector)
    return matchesSelector(selector as LabelSelector, labels);
  return Object.keys(selector).length > 0 && matchesMap(selector as Labels, labels);
}

function controllerOf(object: HasMetadata): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find(({ controller }) => controller === true);
}

/** `Kind namespace/name` of everything that owns one of these. */
function ownersOf(children: readonly Loaded<HasMetadata>[]): ReadonlySet<string> {
  const owners = new Set<string>();
  for (const { object } of children) {
    for (const { kind, name } of object.metadata?.ownerReferences ?? [])
      owners.add(`${kind} ${namespaceOf(object)}/${name}`);
  }
  return owners;
}
