import type { CronJob, Job } from "kubernetes-types/batch/v1.js";
import type { DaemonSet, Deployment, ReplicaSet, StatefulSet } from "kubernetes-types/apps/v1.js";
import type {
  ConfigMap,
  Endpoints,
  Namespace,
  Node,
  Pod,
  ReplicationController,
  Service,
  ServiceAccount,
} from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import type { ObjectMeta } from "kubernetes-types/meta/v1.js";
import type { Ingress, IngressClass, NetworkPolicy } from "kubernetes-types/networking/v1.js";
import type { Place, UserErrorDetails } from "../base/errors.js";
import type { FieldPath, SourceText } from "./load/source-text.js";
import type {
  AdminNetworkPolicy,
  BaselineAdminNetworkPolicy,
  ClusterNetworkPolicy,
} from "./policy/api.js";

/** The kinds whose fields are read. All others are kept as `UnusedObject`. */
export interface Kinds {
  Namespace: Namespace;
  Node: Node;
  Pod: Pod;
  Deployment: Deployment;
  ReplicaSet: ReplicaSet;
  StatefulSet: StatefulSet;
  DaemonSet: DaemonSet;
  ReplicationController: ReplicationController;
  Job: Job;
  CronJob: CronJob;
  Service: Service;
  EndpointSlice: EndpointSlice;
  Endpoints: Endpoints;
  ConfigMap: ConfigMap;
  NetworkPolicy: NetworkPolicy;
  AdminNetworkPolicy: AdminNetworkPolicy;
  BaselineAdminNetworkPolicy: BaselineAdminNetworkPolicy;
  ClusterNetworkPolicy: ClusterNetworkPolicy;
  Ingress: Ingress;
  IngressClass: IngressClass;
  ServiceAccount: ServiceAccount;
  IPPool: IpPool;
  BlockAffinity: BlockAffinity;
}

/** Calico's pool of addresses. */
export interface IpPool extends HasMetadata {
  readonly spec?: {
    readonly cidr?: string;
    readonly blockSize?: number;
    readonly ipipMode?: "Never" | "CrossSubnet" | "Always";
    readonly vxlanMode?: "Never" | "CrossSubnet" | "Always";
    readonly natOutgoing?: boolean;
    readonly disabled?: boolean;
    readonly nodeSelector?: string;
  };
}

/** Which node a block of Calico's belongs to. */
export interface BlockAffinity extends HasMetadata {
  readonly spec?: {
    readonly cidr?: string;
    readonly node?: string;
    /** `"true"` for one that is going away. */
    readonly deleted?: string;
  };
}

export type Kind = keyof Kinds;

/** Where an object stands in the user's text, or why it exists without standing anywhere. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Why hopwise made the object up; undefined for one that the user gave, and for the children of one. */
  readonly assumed: string | undefined;
  /** The text itself, for changes that are proposed to it; undefined for what stands in none. */
  readonly source?: SourceText | undefined;
  /** The place of a field's key, or of a list's item. A path that leads nowhere gives the last part that exists. */
  placeOf(path: FieldPath): Place;
  /** What an error about a field says: its place, source line and width; at the key unless the value is asked for. */
  details(path: FieldPath, at?: "key" | "value"): UserErrorDetails;
}

/** A Kubernetes object in the API's own shape, and where it came from. */
export interface Loaded<T> {
  readonly object: T;
  readonly origin: Origin;
}

/** The `metadata` of any object. */
export interface HasMetadata {
  readonly metadata?: ObjectMeta;
}

export function nameOf(object: HasMetadata): string {
  return object.metadata?.name ?? "";
}

/** The object's namespace; an object without one is in `default`. */
export function namespaceOf(object: HasMetadata): string {
  return object.metadata?.namespace ?? "default";
}

/** `shop/web-0`. */
export function keyOf(object: HasMetadata): string {
  return `${namespaceOf(object)}/${nameOf(object)}`;
}

/** The origin of an object in a text: document number and the way to the object inside it (`["items", 3]`). */
export function originIn(source: SourceText, document: number, base: FieldPath): Origin {
  let own: Place | undefined;
  const place = (): Place => {
    own ??= source.details(document, base, "value").place ?? {
      file: source.file,
      line: 1,
      column: 1,
    };
    return own;
  };
  const details = (path: FieldPath, at: "key" | "value" = "key"): UserErrorDetails =>
    source.details(document, [...base, ...path], at);
  return {
    file: source.file,
    get line() {
      return place().line;
    },
    get column() {
      return place().column;
    },
    assumed: undefined,
    source,
    placeOf: (path) => details(path).place ?? place(),
    details,
  };
}

/** The origin of what hopwise made up: a file named `(assumed)`. */
export function assumedOrigin(why: string): Origin {
  const place = { file: "(assumed)", line: 1, column: 1 };
  return { ...place, assumed: why, placeOf: () => place, details: () => ({ place }) };
}

/** The origin of a child: its fields stand under `base` of the parent (`["spec", "template"]`). */
export function childOrigin(parent: Origin, base: FieldPath): Origin {
  const inside = (path: FieldPath): FieldPath => [...base, ...path];
  return {
    file: parent.file,
    get line() {
      return parent.line;
    },
    get column() {
      return parent.column;
    },
    assumed: parent.assumed,
    placeOf: (path) => parent.placeOf(inside(path)),
    details: (path, at) => parent.details(inside(path), at),
  };
}
