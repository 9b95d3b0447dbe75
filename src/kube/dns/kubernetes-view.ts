import type { Namespace, Pod, Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";

/** What the API server shows to CoreDNS. The arrays may be replaced between queries; `synced` is false before the first list. */
export interface KubernetesView {
  readonly synced: boolean;
  /** The Unix second of the last change: the serial of the zones. */
  readonly serial: number;
  readonly namespaces: readonly Namespace[];
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly pods: readonly Pod[];
  /** multicluster.x-k8s.io/v1alpha1 ServiceImports and the slices that belong to them. */
  readonly serviceImports?: readonly ServiceImport[] | undefined;
}

export interface ServiceImport {
  readonly metadata?: { readonly name?: string; readonly namespace?: string } | undefined;
  readonly spec?:
    | {
        readonly type?: string;
        readonly ips?: readonly string[];
        readonly ports?: readonly {
          readonly name?: string;
          readonly port: number;
          readonly protocol?: string;
        }[];
      }
    | undefined;
}
