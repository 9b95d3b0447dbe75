import type { Endpoints, Node, Pod, Service, ServicePort } from "kubernetes-types/core/v1.js";
import type { Endpoint, EndpointPort, EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { keyOf, type Loaded, nameOf, namespaceOf } from "../objects.js";
import { type Labels, matchesMap } from "../selectors.js";
import { generateName } from "./names.js";

/** `--max-endpoints-per-slice`. */
const MAX_ENDPOINTS = 100;

const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";

/** What the EndpointSlice controller knows. */
export interface EndpointSources {
  readonly services: readonly Loaded<Service>[];
  readonly pods: readonly Loaded<Pod>[];
  readonly nodes: readonly Loaded<Node>[];
  /** Slices that are given; a Service that has one gets no other. */
  readonly slices: readonly Loaded<EndpointSlice>[];
  /** Old Endpoints objects, mirrored for Services without a selector. */
  readonly endpoints: readonly Loaded<Endpoints>[];
}

/**
 * All slices of a world: those given, then those the controllers would make for Services that have none, in the order
 * of the Services. IPv4 only. Mirrors pkg/controller/endpointslice and pkg/controller/endpointslicemirroring.
 */
export function makeEndpointSlices(sources: EndpointSources): readonly Loaded<EndpointSlice>[] {
  const covered = new Set(
    sources.slices.map(
      ({ object }) => `${namespaceOf(object)}/${object.metadata?.labels?.[SERVICE_NAME] ?? ""}`,
    ),
  );
  const byLabel = indexByLabel(sources.pods);
  const zones = new Map(
    sources.nodes.map(({ object }) => [
      nameOf(object),
      object.metadata?.labels?.["topology.kubernetes.io/zone"],
    ]),
  );
  const endpoints = new Map(sources.endpoints.map((loaded) => [keyOf(loaded.object), loaded]));
  const taken = new Set(sources.slices.map(({ object }) => keyOf(object)));
  const made = sources.services.flatMap((service) => {
    const { object, origin } = service;
    if (covered.has(keyOf(object)) || object.spec?.type === "ExternalName") return [];
    const selector = object.spec?.selector;
    const maker = new SliceMaker(object, taken);
    if (selector !== undefined && Object.keys(selector).length > 0) {
      const chosen = podsSelected(byLabel, namespaceOf(object), selector);
      return maker.fromPods(chosen, zones).map((slice) => ({ object: slice, origin }));
    }
    const mirrored = endpoints.get(keyOf(object));
    return mirrored === undefined
      ? []
      : maker.mirror(mirrored.object).map((slice) => ({ object: slice, origin: mirrored.origin }));
  });
  return [...sources.slices, ...made];
}

/** Pods by `namespace key=value`, each list in the order of the pods. */
type LabelIndex = ReadonlyMap<string, readonly Pod[]>;

function indexByLabel(pods: readonly Loaded<Pod>[]): LabelIndex {
  const index = new Map<string, Pod[]>();
  for (const { object } of pods) {
    for (const [key, value] of Object.entries(object.metadata?.labels ?? {})) {
      const label = `${namespaceOf(object)} ${key}=${value}`;
      const list = index.get(label);
      if (list === undefined) index.set(label, [object]);
      else list.push(object);
    }
  }
  return index;
}

/** The pods that a selector of at least one pair matches: looked up by its rarest pair, then compared. */
function podsSelected(index: LabelIndex, namespace: string, selector: Labels): readonly Pod[] {
  const lists = Object.entries(selector).map(
    ([key, value]) => index.get(`${namespace} ${key}=${value}`) ?? [],
  );
  const [rarest = []] = lists.toSorted((a, b) => a.length - b.length);
  return rarest.filter((pod) => matchesMap(selector, pod.metadata?.labels));
}

class SliceMaker {
  readonly #service: Service;
  readonly #taken: Set<string>;

  constructor(service: Service, taken: Set<string>) {
    this.#service = service;
    this.#taken = taken;
  }

  /** Pods that resolve the Service's ports alike share slices. A Service without pods has one empty slice. */
  fromPods(
    pods: readonly Pod[],
    zones: ReadonlyMap<string, string | undefined>,
  ): readonly EndpointSlice[] {
    const groups = new Map<
      string,
      { readonly ports: readonly EndpointPort[]; readonly endpoints: Endpoint[] }
    >();
    const wanted = this.#service.spec?.ports ?? [];
    const named = wanted.some(({ targetPort }) => typeof targetPort === "string");
    for (const pod of pods) {
      const endpoint = endpointOf(pod, this.#service, zones);
      if (endpoint === undefined) continue;
      const ports = wanted.flatMap((port) => resolvePort(port, pod));
      const key = named ? JSON.stringify(ports) : "the same for all pods";
      const group = groups.get(key) ?? { ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpoint);
    }
    if (groups.size === 0) groups.set("", { ports: [], endpoints: [] });
    return [...groups.values()].flatMap(({ ports, endpoints }) =>
      this.#slices(ports, endpoints, "endpointslice-controller.k8s.io"),
    );
  }

  mirror(endpoints: Endpoints): readonly EndpointSlice[] {
    if (endpoints.metadata?.labels?.["endpointslice.kubernetes.io/skip-mirror"] === "true")
      return [];
    return (endpoints.subsets ?? []).flatMap(
      ({ addresses = [], notReadyAddresses = [], ports = [] }) => {
        const all = [
          ...addresses.map((address) => ({ address, ready: true })),
          ...notReadyAddresses.map((address) => ({ address, ready: false })),
        ];
        const found = all.flatMap(({ address, ready }) =>
          address.ip.includes(":")
            ? []
            : [
                {
                  addresses: [address.ip],
                  conditions: { ready },
                  ...optional("hostname", address.hostname),
                  ...optional("nodeName", address.nodeName),
                  ...optional("targetRef", address.targetRef),
                },
              ],
        );
        const named = ports.map(({ name = "", port, protocol = "TCP" }) => ({
          name,
          port,
          protocol,
        }));
        return this.#slices(named, found, "endpointslicemirroring-controller.k8s.io");
      },
    );
  }

  #slices(
    ports: readonly EndpointPort[],
    endpoints: readonly Endpoint[],
    manager: string,
  ): readonly EndpointSlice[] {
    const slices: EndpointSlice[] = [];
    for (let start = 0; start === 0 || start < endpoints.length; start += MAX_ENDPOINTS) {
      const name = nameOf(this.#service);
      slices.push({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: {
          name: generateName(
            `${name}-`,
            `${keyOf(this.#service)}/${JSON.stringify(ports)}/${start}`,
            this.#taken,
          ),
          namespace: namespaceOf(this.#service),
          labels: {
            ...this.#service.metadata?.labels,
            ...(this.#service.spec?.clusterIP === "None"
              ? { "service.kubernetes.io/headless": "" }
              : {}),
            [MANAGED_BY]: manager,
            [SERVICE_NAME]: name,
          },
          ownerReferences: [{ apiVersion: "v1", kind: "Service", name, uid: "", controller: true }],
        },
        addressType: "IPv4",
        endpoints: endpoints.slice(start, start + MAX_ENDPOINTS),
        ports: [...ports],
      });
    }
    return slices;
  }
}

/** The pod as an endpoint; undefined for one that is over, or has no IPv4 address yet. */
function endpointOf(
  pod: Pod,
  service: Service,
  zones: ReadonlyMap<string, string | undefined>,
): Endpoint | undefined {
  const { phase } = pod.status ?? {};
  const address = podIpv4(pod);
  if (address === undefined || phase === "Succeeded" || phase === "Failed") return undefined;
  const serving = isReady(pod);
  const terminating = pod.metadata?.deletionTimestamp !== undefined;
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const nodeName = pod.spec?.nodeName;
  const { hostname, subdomain } = pod.spec ?? {};
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...optional("hostname", subdomain === nameOf(service) ? hostname : undefined),
    ...optional("nodeName", nodeName),
    ...optional("zone", nodeName === undefined ? undefined : zones.get(nodeName)),
    targetRef: {
      kind: "Pod",
      namespace: namespaceOf(pod),
      name: nameOf(pod),
      uid: pod.metadata?.uid ?? "",
    },
  };
}

/** A Service port as the pod offers it: nothing when the pod has no port of that name. */
function resolvePort(port: ServicePort, pod: Pod): readonly EndpointPort[] {
  const { name = "", protocol = "TCP", targetPort = port.port } = port;
  const number = typeof targetPort === "number" ? targetPort : namedPort(targetPort, protocol, pod);
  return number === undefined
    ? []
    : [{ name, port: number, protocol, ...optional("appProtocol", port.appProtocol) }];
}

function namedPort(name: string, protocol: string, pod: Pod): number | undefined {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  const sidecars = initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const { ports = [] } of [...containers, ...sidecars]) {
    const port = ports.find(
      (candidate) => candidate.name === name && (candidate.protocol ?? "TCP") === protocol,
    );
    if (port !== undefined) return port.containerPort;
  }
  return undefined;
}

/** The pod's first IPv4 address, as text. */
export function podIpv4(pod: Pod): string | undefined {
  const { podIP, podIPs = [] } = pod.status ?? {};
  const all = [...(podIP === undefined ? [] : [podIP]), ...podIPs.map(({ ip }) => ip ?? "")];
  return all.find((ip) => ip !== "" && !ip.includes(":"));
}

/** Whether the pod is Ready: as its status says; a pod without conditions is taken as ready unless it is Pending. */
export function isReady(pod: Pod): boolean {
  const { phase, conditions = [] } = pod.status ?? {};
  const condition = conditions.find(({ type }) => type === "Ready");
  if (condition !== undefined) return condition.status === "True";
  return phase === undefined || phase === "Running";
}

function optional<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: T });
}
