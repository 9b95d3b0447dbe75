import type {
  EndpointAddress,
  EndpointPort,
  Endpoints,
  EndpointSubset,
  Service,
} from "kubernetes-types/core/v1.js";
import type { Endpoint, EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { keyOf, type Loaded, nameOf, namespaceOf } from "../objects.js";

/** So many addresses an Endpoints object has room for. */
const MAX_ADDRESSES = 1_000;
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";
const SERVICE_NAME = "kubernetes.io/service-name";

/**
 * The old Endpoints objects of a cluster: those given, then what the Endpoints controller makes for the other Services with a
 * selector, of the family that the Service has first. Nothing in a cluster of today routes by them. Mirrors
 * pkg/controller/endpoint/endpoints_controller.go:syncService().
 */
export function legacyEndpoints(cluster: {
  readonly services: readonly Loaded<Service>[];
  readonly endpointSlices: readonly Loaded<EndpointSlice>[];
  readonly endpoints: readonly Loaded<Endpoints>[];
}): readonly Loaded<Endpoints>[] {
  const given = new Set(cluster.endpoints.map(({ object }) => keyOf(object)));
  const slices = new Map<string, EndpointSlice[]>();
  for (const { object } of cluster.endpointSlices) {
    const key = `${namespaceOf(object)}/${object.metadata?.labels?.[SERVICE_NAME] ?? ""}`;
    slices.set(key, [...(slices.get(key) ?? []), object]);
  }
  const made = cluster.services.flatMap(({ object, origin }): readonly Loaded<Endpoints>[] => {
    const { selector = {}, type, ipFamilies = [] } = object.spec ?? {};
    if (Object.keys(selector).length === 0 || type === "ExternalName" || given.has(keyOf(object)))
      return [];
    const family = ipFamilies[0] ?? "IPv4";
    const own = (slices.get(keyOf(object)) ?? []).filter(
      ({ addressType }) => addressType === family,
    );
    return [{ object: endpointsOf(object, own), origin }];
  });
  return [...cluster.endpoints, ...made];
}

function endpointsOf(service: Service, slices: readonly EndpointSlice[]): Endpoints {
  const subsets = truncated(packed(service, slices));
  const all = slices.reduce((sum, { endpoints }) => sum + listed(service, endpoints).length, 0);
  const annotations = all > MAX_ADDRESSES ? { annotations: { [OVER_CAPACITY]: "truncated" } } : {};
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: {
      name: nameOf(service),
      namespace: namespaceOf(service),
      labels: {
        ...service.metadata?.labels,
        ...(service.spec?.clusterIP === "None" ? { "service.kubernetes.io/headless": "" } : {}),
      },
      ...annotations,
    },
    ...(subsets.length === 0 ? {} : { subsets: [...subsets] }),
  };
}

/** A terminating pod is in an Endpoints object only where the Service publishes what is not ready. */
function listed(service: Service, endpoints: EndpointSlice["endpoints"]): readonly Endpoint[] {
  const all = service.spec?.publishNotReadyAddresses === true;
  return (endpoints ?? []).filter(({ conditions }) => all || conditions?.terminating !== true);
}

interface Packing {
  readonly ports: readonly EndpointPort[];
  readonly ready: EndpointAddress[];
  readonly notReady: EndpointAddress[];
}

/** Addresses of the same ports are one subset, sorted. Mirrors pkg/api/v1/endpoints/util.go:RepackSubsets(). */
function packed(service: Service, slices: readonly EndpointSlice[]): readonly Packing[] {
  const found = new Map<string, Packing>();
  for (const { ports = [], endpoints } of slices) {
    const own = ports.map(
      ({ name = "", port = 0, protocol = "TCP", appProtocol }): EndpointPort => ({
        ...(name === "" ? {} : { name }),
        port,
        protocol,
        ...(appProtocol === undefined ? {} : { appProtocol }),
      }),
    );
    const key = JSON.stringify(own);
    const packing = found.get(key) ?? { ports: own, ready: [], notReady: [] };
    for (const endpoint of listed(service, endpoints)) {
      const list = endpoint.conditions?.ready === false ? packing.notReady : packing.ready;
      list.push(...endpoint.addresses.map((ip) => addressOf(ip, endpoint)));
    }
    if (packing.ready.length + packing.notReady.length > 0) found.set(key, packing);
  }
  const byIp = (a: EndpointAddress, b: EndpointAddress): number => (a.ip < b.ip ? -1 : 1);
  return [...found.values()].map(({ ports, ready, notReady }) => ({
    ports,
    ready: ready.toSorted(byIp),
    notReady: notReady.toSorted(byIp),
  }));
}

function addressOf(ip: string, { hostname, nodeName, targetRef }: Endpoint): EndpointAddress {
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}

/**
 * The object's capacity goes to ready addresses first, shared among subsets by their share of all. Mirrors
 * endpoints_controller.go:truncateEndpoints().
 */
function truncated(subsets: readonly Packing[]): readonly EndpointSubset[] {
  const total = (field: "ready" | "notReady"): number =>
    subsets.reduce((sum, subset) => sum + subset[field].length, 0);
  const [ready, notReady] = [total("ready"), total("notReady")];
  const over = ready + notReady > MAX_ADDRESSES;
  const room = {
    ready: Math.min(ready, MAX_ADDRESSES),
    notReady: Math.max(0, MAX_ADDRESSES - ready),
  };
  const share = (subset: Packing, field: "ready" | "notReady", all: number): EndpointAddress[] =>
    over && all > 0
      ? subset[field].slice(0, Math.floor((room[field] * subset[field].length) / all))
      : subset[field];
  return subsets.flatMap((subset) => {
    const addresses = share(subset, "ready", ready);
    const rest = share(subset, "notReady", notReady);
    if (addresses.length + rest.length === 0) return [];
    return [
      {
        ...(addresses.length === 0 ? {} : { addresses }),
        ...(rest.length === 0 ? {} : { notReadyAddresses: rest }),
        ...(subset.ports.length === 0 ? {} : { ports: [...subset.ports] }),
      },
    ];
  });
}
