import type { Endpoint as ApiEndpoint, EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { hostPort, parseAddress, type Address, type IpFamily } from "./addresses.js";
import {
  at,
  isKubernetesName,
  refuse,
  type ObjectRef,
  type ProxyNote,
  type ProxyObjects,
} from "./objects.js";
import { portKey, protocolOf } from "./service-port.js";

/** One endpoint of a service port. Mirrors pkg/proxy/endpoint.go:BaseEndpointInfo. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
  /** `address:port`, IPv6 in brackets: its identity, and what lists are sorted by. */
  readonly text: string;
  /** Empty when the slice does not say. */
  readonly nodeName: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Zones whose nodes should use it; empty for no hint. */
  readonly zoneHints: readonly string[];
  /** Nodes that should use it; empty for no hint. */
  readonly nodeHints: readonly string[];
  /** The EndpointSlice at `endpoints[n]`. */
  readonly object: ObjectRef;
}

/** Node hints are newer than the types: Kubernetes 1.33, EndpointHints.forNodes. */
interface NodeHints {
  readonly forNodes?: readonly { readonly name: string }[];
}

/**
 * The endpoints of all slices of one family, by `portKey`, each list sorted by text with duplicates kept: which of two
 * survives depends on the node. Slices are read in the order of their names. Mirrors pkg/proxy/endpointslicecache.go.
 */
export function endpointsByPort(
  objects: ProxyObjects,
  family: IpFamily,
  notes: ProxyNote[],
): Map<string, readonly Endpoint[]> {
  const lists = new Map<string, Endpoint[]>();
  for (const slice of byName(objects.endpointSlices)) {
    if (slice.addressType !== `IPv${family}`) continue;
    const service = slice.metadata?.labels?.["kubernetes.io/service-name"] ?? "";
    if (service !== "") addSlice(lists, objects, slice, service, notes);
  }
  for (const list of lists.values()) list.sort((a, b) => compareText(a.text, b.text));
  return lists;
}

/** Byte order, as Go sorts strings; -1, 0 or 1. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byName(slices: readonly EndpointSlice[]): EndpointSlice[] {
  return slices.toSorted((a, b) => compareText(a.metadata?.name ?? "", b.metadata?.name ?? ""));
}

/** Adds each endpoint of a slice under each of its ports. The API server's defaults apply: port name `""`, protocol TCP. */
function addSlice(
  lists: Map<string, Endpoint[]>,
  objects: ProxyObjects,
  slice: EndpointSlice,
  service: string,
  notes: ProxyNote[],
): void {
  const { namespace = "default", name = "" } = slice.metadata ?? {};
  const object: ObjectRef = { kind: "EndpointSlice", namespace, name, path: [] };
  if (!isKubernetesName(namespace))
    refuse(objects, at(object, "metadata", "namespace"), "not a namespace name");
  const endpoints = readAddresses(slice.endpoints ?? [], object, notes);
  for (const [index, port] of (slice.ports ?? []).entries()) {
    if (port.port === undefined || port.port === null || port.port === 0) continue;
    if (!Number.isInteger(port.port) || port.port < 0 || port.port > 65_535) {
      refuse(objects, at(object, "ports", index, "port"), "must be between 1 and 65535, inclusive");
    }
    const protocol = protocolOf(
      objects,
      at(object, "ports", index, "protocol"),
      port.protocol ?? undefined,
    );
    const key = portKey(namespace, service, port.name ?? "", protocol);
    const list = lists.get(key) ?? [];
    lists.set(key, list);
    for (const endpoint of endpoints) list.push(withPort(endpoint, port.port));
  }
}

/** Field by field: there are many of them, and spreading is slow. */
function withPort(endpoint: Omit<Endpoint, "port" | "text">, port: number): Endpoint {
  return {
    address: endpoint.address,
    port,
    text: hostPort(endpoint.address, port),
    nodeName: endpoint.nodeName,
    ready: endpoint.ready,
    serving: endpoint.serving,
    terminating: endpoint.terminating,
    zoneHints: endpoint.zoneHints,
    nodeHints: endpoint.nodeHints,
    object: endpoint.object,
  };
}

/** Only the first address of an endpoint counts; one of another family than the slice's is noted. */
function readAddresses(
  endpoints: readonly ApiEndpoint[],
  slice: ObjectRef,
  notes: ProxyNote[],
): Omit<Endpoint, "port" | "text">[] {
  return endpoints.flatMap((endpoint, index) => {
    const object = at(slice, "endpoints", index);
    const text = endpoint.addresses?.[0];
    if (text === undefined) return [];
    const address = parseAddress(text);
    if (address !== undefined) return { address, object, ...conditionsOf(endpoint) };
    notes.push({ object, message: `${JSON.stringify(text)} is not an IP address and is ignored` });
    return [];
  });
}

/** A condition that is not stated counts as ready, serving, and not terminating. */
function conditionsOf(
  endpoint: ApiEndpoint,
): Pick<Endpoint, "nodeName" | "ready" | "serving" | "terminating" | "zoneHints" | "nodeHints"> {
  const { ready, serving, terminating } = endpoint.conditions ?? {};
  const hints = endpoint.hints as (ApiEndpoint["hints"] & NodeHints) | undefined;
  return {
    nodeName: endpoint.nodeName ?? "",
    ready: ready ?? true,
    serving: serving ?? true,
    terminating: terminating ?? false,
    zoneHints: namesIn(hints?.forZones),
    nodeHints: namesIn(hints?.forNodes),
  };
}

const NO_NAMES: readonly string[] = [];

function namesIn(list: readonly { readonly name: string }[] | undefined): readonly string[] {
  return list === undefined ? NO_NAMES : list.map(({ name }) => name);
}
