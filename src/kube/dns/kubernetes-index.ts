import { canonicalIp } from "./address.js";
import type { KubernetesView } from "./kubernetes-view.js";
import { selectorMatches, type LabelSelector } from "./labels.js";

/** A Service as the DNS plugins see it. */
export interface DnsService {
  readonly name: string;
  readonly namespace: string;
  readonly type: string;
  readonly headless: boolean;
  readonly clusterIps: readonly string[];
  readonly externalName: string;
  /** External addresses, then load balancer addresses or names. */
  readonly externalIps: readonly string[];
  readonly ports: readonly DnsPort[];
}

/** `number` is -1 for a service or slice without ports. */
export interface DnsPort {
  readonly name: string;
  readonly protocol: string;
  readonly number: number;
}

export interface DnsEndpoint {
  readonly ip: string;
  readonly hostname: string;
  readonly podName: string;
  readonly zone: string;
}

export interface DnsSlice {
  readonly service: string;
  readonly namespace: string;
  readonly cluster: string;
  readonly endpoints: readonly DnsEndpoint[];
  /** Endpoints that are there but not ready. */
  readonly notReady: number;
  readonly ports: readonly DnsPort[];
}

export interface DnsPod {
  readonly name: string;
  readonly namespace: string;
  readonly ip: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface IndexOptions {
  readonly labels: LabelSelector;
  readonly namespaceLabels: LabelSelector;
  readonly endpoints: boolean;
}

/** The objects of a view, found by name and by address. Mirrors plugin/kubernetes/controller.go and object/. */
export class KubernetesIndex {
  readonly services: readonly DnsService[];
  readonly imports: readonly DnsService[];
  readonly pods: readonly DnsPod[];
  readonly #namespaces: ReadonlySet<string>;
  readonly #byName: ReadonlyMap<string, readonly DnsService[]>;
  readonly #importsByName: ReadonlyMap<string, readonly DnsService[]>;
  readonly #byClusterIp: ReadonlyMap<string, readonly DnsService[]>;
  readonly #byExternalIp: ReadonlyMap<string, readonly DnsService[]>;
  readonly #slices: ReadonlyMap<string, readonly DnsSlice[]>;
  readonly #importSlices: ReadonlyMap<string, readonly DnsSlice[]>;
  readonly #slicesByIp: ReadonlyMap<string, readonly DnsSlice[]>;
  readonly #podsByIp: ReadonlyMap<string, readonly DnsPod[]>;

  constructor(view: KubernetesView, options: IndexOptions) {
    const { labels, namespaceLabels } = options;
    const chosen = view.namespaces.filter((ns) =>
      selectorMatches(namespaceLabels, ns.metadata?.labels),
    );
    this.#namespaces = new Set(chosen.map((ns) => ns.metadata?.name ?? ""));
    this.services = view.services
      .filter((service) => selectorMatches(labels, service.metadata?.labels))
      .map(readService);
    this.imports = (view.serviceImports ?? []).map(readImport);
    const all = options.endpoints
      ? view.endpointSlices.filter((slice) => selectorMatches(labels, slice.metadata?.labels))
      : [];
    const slices = all.flatMap((slice) => readSlice(slice, "kubernetes.io/service-name"));
    const importSlices = all.flatMap((slice) =>
      readSlice(slice, "multicluster.kubernetes.io/service-name"),
    );
    this.pods = view.pods
      .filter((pod) => selectorMatches(labels, pod.metadata?.labels) && isLive(pod))
      .map((pod) => ({
        name: pod.metadata?.name ?? "",
        namespace: pod.metadata?.namespace ?? "default",
        ip: pod.status?.podIP ?? "",
        labels: pod.metadata?.labels ?? {},
      }));
    this.#byName = groupBy(this.services, (service) => [keyOf(service.name, service.namespace)]);
    this.#importsByName = groupBy(this.imports, (service) => [
      keyOf(service.name, service.namespace),
    ]);
    this.#byClusterIp = groupBy(this.services, (service) => service.clusterIps);
    this.#byExternalIp = groupBy(this.services, (service) => service.externalIps);
    this.#slices = groupBy(slices, (slice) => [keyOf(slice.service, slice.namespace)]);
    this.#importSlices = groupBy(importSlices, (slice) => [keyOf(slice.service, slice.namespace)]);
    this.#slicesByIp = groupBy(slices, (slice) => [
      ...new Set(slice.endpoints.map((endpoint) => endpoint.ip)),
    ]);
    this.#podsByIp = groupBy(this.pods, (pod) => [pod.ip]);
  }

  hasNamespace(name: string): boolean {
    return this.#namespaces.has(name);
  }

  servicesNamed(name: string, namespace: string): readonly DnsService[] {
    return this.#byName.get(keyOf(name, namespace)) ?? [];
  }

  importsNamed(name: string, namespace: string): readonly DnsService[] {
    return this.#importsByName.get(keyOf(name, namespace)) ?? [];
  }

  slicesOf(service: DnsService): readonly DnsSlice[] {
    return this.#slices.get(keyOf(service.name, service.namespace)) ?? [];
  }

  importSlicesOf(service: DnsService): readonly DnsSlice[] {
    return this.#importSlices.get(keyOf(service.name, service.namespace)) ?? [];
  }

  servicesWithClusterIp(ip: string): readonly DnsService[] {
    return this.#byClusterIp.get(ip) ?? [];
  }

  servicesWithExternalIp(ip: string): readonly DnsService[] {
    return this.#byExternalIp.get(ip) ?? [];
  }

  slicesWithIp(ip: string): readonly DnsSlice[] {
    return this.#slicesByIp.get(ip) ?? [];
  }

  podsWithIp(ip: string): readonly DnsPod[] {
    return this.#podsByIp.get(ip) ?? [];
  }
}

function keyOf(name: string, namespace: string): string {
  return `${name.toLowerCase()}.${namespace.toLowerCase()}`;
}

function groupBy<T>(list: readonly T[], keys: (item: T) => readonly string[]): Map<string, T[]> {
  const result = new Map<string, T[]>();
  for (const item of list) {
    for (const key of keys(item)) {
      const group = result.get(key);
      if (group === undefined) result.set(key, [item]);
      else group.push(item);
    }
  }
  return result;
}

type ApiService = KubernetesView["services"][number];
type ApiSlice = KubernetesView["endpointSlices"][number];
type ApiPod = KubernetesView["pods"][number];
type ApiImport = NonNullable<KubernetesView["serviceImports"]>[number];

const noPort: DnsPort = { name: "", protocol: "", number: -1 };

function readService(service: ApiService): DnsService {
  const { spec, status } = service;
  const listed =
    (spec?.clusterIPs ?? []).length > 0 ? (spec?.clusterIPs ?? []) : [spec?.clusterIP ?? ""];
  const ingress = status?.loadBalancer?.ingress ?? [];
  const ports = (spec?.ports ?? []).map((port) => ({
    name: port.name ?? "",
    protocol: port.protocol ?? "TCP",
    number: port.port,
  }));
  return {
    name: service.metadata?.name ?? "",
    namespace: service.metadata?.namespace ?? "default",
    type: spec?.type ?? "ClusterIP",
    headless: listed[0]?.toLowerCase() === "none",
    clusterIps: listed.map(canonical).filter((ip) => ip !== ""),
    externalName: spec?.externalName ?? "",
    externalIps: [
      ...(spec?.externalIPs ?? []),
      ...ingress.map((entry) => entry.ip ?? entry.hostname ?? ""),
    ]
      .map(canonical)
      .filter((ip) => ip !== ""),
    ports: ports.length === 0 ? [noPort] : ports,
  };
}

function readImport(service: ApiImport): DnsService {
  const ports = (service.spec?.ports ?? []).map((port) => ({
    name: port.name ?? "",
    protocol: port.protocol ?? "TCP",
    number: port.port,
  }));
  return {
    name: service.metadata?.name ?? "",
    namespace: service.metadata?.namespace ?? "default",
    type: service.spec?.type ?? "ClusterSetIP",
    headless: service.spec?.type === "Headless",
    clusterIps: (service.spec?.ips ?? []).map(canonical),
    externalName: "",
    externalIps: [],
    ports: ports.length === 0 ? [noPort] : ports,
  };
}

function readSlice(slice: ApiSlice, label: string): DnsSlice[] {
  const service = slice.metadata?.labels?.[label];
  if (service === undefined) return [];
  const endpoints = slice.endpoints ?? [];
  const ready = endpoints.filter((endpoint) => endpoint.conditions?.ready !== false);
  const ports = (slice.ports ?? []).map((port) => ({
    name: port.name ?? "",
    protocol: port.protocol ?? "TCP",
    number: port.port ?? -1,
  }));
  return [
    {
      service,
      namespace: slice.metadata?.namespace ?? "default",
      cluster: slice.metadata?.labels?.["multicluster.kubernetes.io/source-cluster"] ?? "",
      endpoints: ready.flatMap((endpoint) => {
        const podName = endpoint.targetRef?.name ?? "";
        return endpoint.addresses.map((address) => ({
          ip: canonical(address),
          hostname: endpoint.hostname ?? "",
          podName: podName.length < 64 ? podName : "",
          zone: endpoint.zone ?? "",
        }));
      }),
      notReady: endpoints.length - ready.length,
      ports: ports.length === 0 ? [noPort] : ports,
    },
  ];
}

function isLive(pod: ApiPod): boolean {
  const phase = pod.status?.phase ?? "";
  return (
    pod.metadata?.deletionTimestamp === undefined &&
    !["Succeeded", "Failed", "Unknown"].includes(phase)
  );
}

function canonical(address: string): string {
  return canonicalIp(address) ?? address;
}
