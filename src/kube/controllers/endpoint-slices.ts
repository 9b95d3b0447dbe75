import type {
  EndpointAddress,
  Endpoints,
  Node,
  Pod,
  Service,
  ServicePort,
} from "kubernetes-types/core/v1.js";
import type { Endpoint, EndpointPort, EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { keyOf, type Loaded, nameOf, namespaceOf } from "../objects.js";
import { type Labels, matchesMap } from "../selectors.js";
import { withHints, ZONE, zoneShares } from "./hints.js";
import { generateName } from "./names.js";
import { portsKey, refillSlices } from "./refill-slices.js";

/** `--max-endpoints-per-slice`. */
const MAX_ENDPOINTS = 100;

/** `--mirroring-max-endpoints-per-subset`. */
const MAX_MIRRORED = 1_000;

const CONTROLLER = "endpointslice-controller.k8s.io";
const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";

/** What the EndpointSlice controller knows. */
export interface EndpointSources {
  readonly services: readonly Loaded<Service>[];
  readonly pods: readonly Loaded<Pod>[];
  readonly nodes: readonly Loaded<Node>[];
  /** Slices that are given; a Service that has one gets no other, unless the controller runs. */
  readonly slices: readonly Loaded<EndpointSlice>[];
  /** The controller runs: it brings its own slices among those given to what the pods are now. */
  readonly running?: boolean;
  /** Old Endpoints objects, mirrored for Services without a selector. */
  readonly endpoints: readonly Loaded<Endpoints>[];
}

/**
 * All slices of a world: those given, then those the controllers would make for Services that have none, in the order
 * of the Services, each address family in slices of its own. Mirrors pkg/controller/endpointslice and pkg/controller/endpointslicemirroring.
 */
export function makeEndpointSlices(sources: EndpointSources): readonly Loaded<EndpointSlice>[] {
  const selecting = new Set(
    sources.services.flatMap(({ object }) => (selectsPods(object) ? [keyOf(object)] : [])),
  );
  const isOwn = ({ object }: Loaded<EndpointSlice>): boolean =>
    sources.running === true &&
    object.metadata?.labels?.[MANAGED_BY] === CONTROLLER &&
    selecting.has(serviceOf(object));
  const own = new Map<string, Loaded<EndpointSlice>[]>();
  for (const slice of sources.slices.filter(isOwn)) {
    const key = serviceOf(slice.object);
    own.set(key, [...(own.get(key) ?? []), slice]);
  }
  const others = sources.slices.filter((slice) => !isOwn(slice));
  const covered = new Set(others.map(({ object }) => serviceOf(object)));
  const byLabel = indexByLabel(sources.pods);
  const zones = new Map(
    sources.nodes.map(({ object }) => [nameOf(object), object.metadata?.labels?.[ZONE]]),
  );
  const endpoints = new Map(sources.endpoints.map((loaded) => [keyOf(loaded.object), loaded]));
  const taken = new Set(sources.slices.map(({ object }) => keyOf(object)));
  const shares = zoneShares(sources.nodes);
  const made = sources.services.flatMap((service) => {
    const { object, origin } = service;
    if (covered.has(keyOf(object)) || object.spec?.type === "ExternalName") return [];
    const selector = object.spec?.selector;
    const maker = new SliceMaker(object, taken, own.get(keyOf(object)) ?? []);
    if (selector !== undefined && Object.keys(selector).length > 0) {
      const chosen = podsSelected(byLabel, namespaceOf(object), selector);
      const slices = familiesOf(object).flatMap((family) =>
        withHints(object, maker.fromPods(chosen, zones, family), shares),
      );
      return slices.map((slice) => ({ object: slice, origin }));
    }
    const mirrored = endpoints.get(keyOf(object));
    return mirrored === undefined
      ? []
      : maker.mirror(mirrored.object).map((slice) => ({ object: slice, origin: mirrored.origin }));
  });
  return [...others, ...made];
}

function serviceOf(slice: EndpointSlice): string {
  return `${namespaceOf(slice)}/${slice.metadata?.labels?.[SERVICE_NAME] ?? ""}`;
}

function selectsPods({ spec }: Service): boolean {
  return Object.keys(spec?.selector ?? {}).length > 0 && spec?.type !== "ExternalName";
}

type Family = "IPv4" | "IPv6";

/** The families of a Service that the API server has completed. */
function familiesOf({ spec }: Service): readonly Family[] {
  const families = (spec?.ipFamilies ?? []).filter(
    (family): family is Family => family === "IPv4" || family === "IPv6",
  );
  return families.length === 0 ? ["IPv4"] : families;
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
  readonly #existing: readonly Loaded<EndpointSlice>[];

  /** `existing` are the slices that the controller has made of the Service before. */
  constructor(
    service: Service,
    taken: Set<string>,
    existing: readonly Loaded<EndpointSlice>[] = [],
  ) {
    this.#service = service;
    this.#taken = taken;
    this.#existing = existing;
  }

  /** Pods that resolve the Service's ports alike share slices. A Service without pods has one empty slice a family. */
  fromPods(
    pods: readonly Pod[],
    zones: ReadonlyMap<string, string | undefined>,
    family: Family,
  ): readonly EndpointSlice[] {
    const groups = new Map<
      string,
      { readonly ports: readonly EndpointPort[]; readonly endpoints: Endpoint[] }
    >();
    const wanted = this.#service.spec?.ports ?? [];
    const named = wanted.some(({ targetPort }) => typeof targetPort === "string");
    for (const pod of pods) {
      const endpoint = endpointOf(pod, this.#service, zones, family);
      if (endpoint === undefined) continue;
      const ports = wanted.flatMap((port) => resolvePort(port, pod));
      const key = named ? JSON.stringify(ports) : "the same for all pods";
      const group = groups.get(key) ?? { ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpoint);
    }
    const before = this.#existing.filter(({ object }) => object.addressType === family);
    const [first] = before;
    if (groups.size === 0) groups.set("", { ports: first?.object.ports ?? [], endpoints: [] });
    return [...groups.values()].flatMap(({ ports, endpoints }) => {
      const key = portsKey(ports);
      const alike = before.flatMap(({ object }) =>
        portsKey(object.ports ?? []) === key ? [object] : [],
      );
      const { kept, left } = refillSlices(alike, endpoints, MAX_ENDPOINTS);
      const made =
        kept.length > 0 && left.length === 0 ? [] : this.#slices(ports, left, CONTROLLER, family);
      return [...kept, ...made];
    });
  }

  mirror(endpoints: Endpoints): readonly EndpointSlice[] {
    if (endpoints.metadata?.labels?.["endpointslice.kubernetes.io/skip-mirror"] === "true")
      return [];
    return (endpoints.subsets ?? []).flatMap(
      ({ addresses = [], notReadyAddresses = [], ports = [] }) => {
        const all = [
          ...addresses.map((address) => ({ address, ready: true })),
          ...notReadyAddresses.map((address) => ({ address, ready: false })),
        ].slice(0, MAX_MIRRORED);
        const named = ports.map(({ name = "", port, protocol = "TCP" }) => ({
          name,
          port,
          protocol,
        }));
        return (["IPv4", "IPv6"] as const).flatMap((family) => {
          const found = all.flatMap(({ address, ready }) =>
            familyOf(address.ip) === family ? mirrored(address, ready) : [],
          );
          // A family without addresses has no slice, except where there is none at all.
          if (found.length === 0 && (family === "IPv6" || all.length > 0)) return [];
          return this.#slices(named, found, "endpointslicemirroring-controller.k8s.io", family);
        });
      },
    );
  }

  #slices(
    ports: readonly EndpointPort[],
    endpoints: readonly Endpoint[],
    manager: string,
    family: Family,
  ): readonly EndpointSlice[] {
    const own = family === "IPv4" ? "" : `/${family}`;
    const slices: EndpointSlice[] = [];
    for (let start = 0; start === 0 || start < endpoints.length; start += MAX_ENDPOINTS) {
      const name = nameOf(this.#service);
      slices.push({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: {
          name: generateName(
            `${name}-`,
            `${keyOf(this.#service)}/${JSON.stringify(ports)}/${start}${own}`,
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
        addressType: family,
        endpoints: endpoints.slice(start, start + MAX_ENDPOINTS),
        ports: [...ports],
      });
    }
    return slices;
  }
}

function familyOf(ip: string): Family {
  return ip.includes(":") ? "IPv6" : "IPv4";
}

/** An address of an Endpoints object as an endpoint. */
function mirrored(address: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [address.ip],
    conditions: { ready },
    ...optional("hostname", address.hostname),
    ...optional("nodeName", address.nodeName),
    ...optional("targetRef", address.targetRef),
  };
}

/** The pod as an endpoint; undefined for one that is over, or has no address of the family yet. */
function endpointOf(
  pod: Pod,
  service: Service,
  zones: ReadonlyMap<string, string | undefined>,
  family: Family,
): Endpoint | undefined {
  const { phase } = pod.status ?? {};
  const address = family === "IPv4" ? podIpv4(pod) : podIpv6(pod);
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
  return addressesOf(pod).find((ip) => ip !== "" && !ip.includes(":"));
}

/** The pod's first IPv6 address, as text. */
export function podIpv6(pod: Pod): string | undefined {
  return addressesOf(pod).find((ip) => ip.includes(":"));
}

function addressesOf({ status }: Pod): readonly string[] {
  const { podIP, podIPs = [] } = status ?? {};
  return [...(podIP === undefined ? [] : [podIP]), ...podIPs.map(({ ip }) => ip ?? "")];
}

/**
 * Whether the pod is Ready: as its status says. A pod without that condition is taken as ready when it runs, its
 * containers are not said to be otherwise, and every readiness gate is met. Mirrors
 * pkg/kubelet/status/generate.go:GeneratePodReadyCondition().
 */
export function isReady(pod: Pod): boolean {
  const { phase, conditions = [], containerStatuses = [] } = pod.status ?? {};
  const isTrue = (type: string): boolean =>
    conditions.some((condition) => condition.type === type && condition.status === "True");
  if (conditions.some(({ type }) => type === "Ready")) return isTrue("Ready");
  if (phase !== undefined && phase !== "Running") return false;
  const gates = pod.spec?.readinessGates ?? [];
  return (
    gates.every(({ conditionType }) => isTrue(conditionType)) &&
    containerStatuses.every(({ ready }) => ready !== false)
  );
}

function optional<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: T });
}
