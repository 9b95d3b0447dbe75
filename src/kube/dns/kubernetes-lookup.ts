import { addressOfReverse, formatIp, parseIp } from "./address.js";
import type {
  DnsEndpoint,
  DnsPort,
  DnsService,
  DnsSlice,
  KubernetesIndex,
} from "./kubernetes-index.js";
import type { KubernetesOptions } from "./kubernetes-options.js";
import { dashedIp, isInZone, isReverseZone, labelsOf } from "./names.js";

/** What a name below a cluster zone asks for. Empty parts were not given. */
export interface ParsedName {
  readonly kind: "" | "svc" | "pod";
  readonly namespace: string;
  readonly service: string;
  readonly endpoint: string;
  readonly cluster: string;
  readonly port: string;
  readonly protocol: string;
  readonly topology: { readonly zone: string; readonly strict: boolean } | undefined;
}

/** One thing found for a name: an address or a name (`host`), and the name that SRV targets give it (`key`). */
export interface Item {
  readonly host: string;
  readonly port: number;
  readonly key: string;
  readonly ttl: number;
}

/** What was found and in words how; `items` undefined is a name error. */
export interface Found {
  readonly items: readonly Item[] | undefined;
  readonly why: string;
}

const nothingParsed: ParsedName = {
  kind: "",
  namespace: "",
  service: "",
  endpoint: "",
  cluster: "",
  port: "",
  protocol: "",
  topology: undefined,
};

/** Reads a lower-cased name from the right. Undefined is a name that can be nothing. Mirrors plugin/kubernetes/parse.go. */
export function parseName(
  name: string,
  zone: string,
  options: KubernetesOptions,
): ParsedName | undefined {
  const labels = labelsOf(name).slice(0, labelsOf(name).length - labelsOf(zone).length);
  if (labels.length === 0 || (labels.length === 1 && (labels[0] === "svc" || labels[0] === "pod")))
    return nothingParsed;
  const kind = labels.pop();
  if (kind !== "svc" && kind !== "pod") return undefined;
  const namespace = labels.pop() ?? "";
  const service = labels.pop() ?? "";
  const base = { ...nothingParsed, kind, namespace, service } as const;
  const [first = "", second = ""] = labels;
  if (options.zonal && labels.at(-1) === "_zone" && labels.length >= 3) {
    const mode = labels.at(-2);
    if (mode !== "pin" && mode !== "prefer") return undefined;
    return { ...base, topology: { zone: labels.slice(0, -2).join("."), strict: mode === "pin" } };
  }
  if (labels.length === 0) return base;
  if (labels.length === 1) return { ...base, endpoint: first };
  if (labels.length > 2) return undefined;
  if (isMulticluster(zone, options) && !first.startsWith("_") && !second.startsWith("_")) {
    return { ...base, endpoint: first, cluster: second };
  }
  return { ...base, port: first.replace(/^_/, ""), protocol: second.replace(/^_/, "") };
}

export function isMulticluster(zone: string, options: KubernetesOptions): boolean {
  return options.multicluster.includes(zone.toLowerCase());
}

export function isExposed(
  namespace: string,
  index: KubernetesIndex,
  options: KubernetesOptions,
): boolean {
  if (options.namespaces.size > 0 && !options.namespaces.has(namespace)) return false;
  return index.hasNamespace(namespace);
}

/** Everything a name stands for. Mirrors plugin/kubernetes/kubernetes.go:Records(). */
export function findRecords(
  name: string,
  zone: string,
  index: KubernetesIndex,
  options: KubernetesOptions,
): Found {
  const lower = name.toLowerCase();
  const parsed = parseName(lower, zone, options);
  if (parsed === undefined) return missing("not the form of a cluster name");
  if (parsed.kind === "") return { items: [], why: "the name of a zone, not of a service" };
  if (isReverseZone(lower)) return missing("a reverse name");
  const { namespace, service, kind } = parsed;
  if (!isExposed(namespace, index, options))
    return missing(`namespace "${namespace}" does not exist or is not exposed`);
  if (kind === "pod") return findPod(parsed, zone, index, options);
  if (service === "")
    return { items: [], why: `the name of namespace "${namespace}", not of a service` };
  const multicluster = isMulticluster(zone, options);
  const services = multicluster
    ? index.importsNamed(service, namespace)
    : index.servicesNamed(service, namespace);
  if (services.length === 0) return missing(`no service "${service}" in namespace "${namespace}"`);
  return findService(parsed, zone, services, index, options);
}

function missing(why: string): Found {
  return { items: undefined, why };
}

function findPod(
  parsed: ParsedName,
  zone: string,
  index: KubernetesIndex,
  options: KubernetesOptions,
): Found {
  const { namespace, service: name } = parsed;
  if (options.pods === "disabled") return missing("pod names are disabled");
  if (name === "") return { items: [], why: `the name of namespace "${namespace}", not of a pod` };
  const dots = name.split("-").length === 4 && !name.includes("--");
  const ip = parseIp(name.replaceAll("-", dots ? "." : ":"));
  const text = ip === undefined ? "" : formatIp(ip);
  const item = { host: text, port: 0, key: `${name}.${namespace}.pod.${zone}`, ttl: options.ttl };
  if (ip === undefined) return missing(`"${name}" is no address with dashes`);
  if (options.pods === "insecure")
    return {
      items: [item],
      why: `pods insecure: the address is in the name, no pod is looked for`,
    };
  const pod = index.podsWithIp(text).find((candidate) => same(candidate.namespace, namespace));
  if (pod === undefined)
    return missing(`pods verified: no pod with address ${text} in namespace "${namespace}"`);
  return { items: [item], why: `pods verified: ${namespace}/${pod.name} has the address` };
}

function findService(
  parsed: ParsedName,
  zone: string,
  services: readonly DnsService[],
  index: KubernetesIndex,
  options: KubernetesOptions,
): Found {
  const items: Item[] = [];
  const reasons: string[] = [];
  for (const service of services) {
    const slices = isMulticluster(zone, options)
      ? index.importSlicesOf(service)
      : index.slicesOf(service);
    const found = findInService(parsed, zone, service, slices, options);
    items.push(...(found.items ?? []));
    reasons.push(found.why);
    if (found.items !== undefined && found.items.length === 0) return found;
  }
  const why = reasons.join("; ");
  return items.length === 0 ? missing(why) : { items, why };
}

function findInService(
  parsed: ParsedName,
  zone: string,
  service: DnsService,
  slices: readonly DnsSlice[],
  options: KubernetesOptions,
): Found {
  const name = `service ${service.namespace}/${service.name}`;
  const external = service.type === "ExternalName";
  const ready = slices.reduce((sum, slice) => sum + slice.endpoints.length, 0);
  if (options.ignoreEmpty && !external && !service.headless && ready === 0) {
    return missing(`${name} has no ready endpoint and "ignore empty_service" is set`);
  }
  const key = `${service.name}.${service.namespace}.svc.${zone}`;
  if (external) return externalName(parsed, service, key, options);
  if (parsed.topology !== undefined) {
    return service.headless
      ? topology(parsed, key, slices, options)
      : missing(`${name} is not headless`);
  }
  if (service.headless || parsed.endpoint !== "") {
    const items = endpointItems(parsed, key, slices, options);
    const notReady = slices.reduce((sum, slice) => sum + slice.notReady, 0);
    const skipped = notReady === 0 ? "" : `, ${notReady} skipped because not ready`;
    const why = `${name}${service.headless ? " is headless" : ""}: ${items.length} records of ${ready} ready endpoints${skipped}`;
    return items.length === 0 ? missing(why) : { items, why };
  }
  const ports = service.ports.filter((port) => portMatches(parsed, port));
  const items = ports.flatMap((port) =>
    service.clusterIps.map((host) => ({ host, port: port.number, key, ttl: options.ttl })),
  );
  if (items.length === 0)
    return missing(`${name} has no port "${parsed.port}" over "${parsed.protocol}"`);
  return { items, why: `${name} has ClusterIP ${service.clusterIps.join(", ")}` };
}

function externalName(
  parsed: ParsedName,
  service: DnsService,
  key: string,
  options: KubernetesOptions,
): Found {
  const name = `service ${service.namespace}/${service.name}`;
  if (parsed.endpoint !== "" || parsed.port !== "" || parsed.protocol !== "") {
    return missing(`${name} is an ExternalName: it has neither endpoints nor ports`);
  }
  const target = service.externalName;
  if (target === "" || parseIp(target) !== undefined)
    return missing(`${name} has an address as its external name`);
  return {
    items: [{ host: target, port: 0, key, ttl: options.ttl }],
    why: `${name} is an ExternalName: ${target}`,
  };
}

function topology(
  parsed: ParsedName,
  key: string,
  slices: readonly DnsSlice[],
  options: KubernetesOptions,
): Found {
  const all = slices.flatMap((slice) => itemsOfSlice(slice, parsed, key, options, () => true));
  const zone = parsed.topology?.zone ?? "";
  const inZone = slices.flatMap((slice) =>
    itemsOfSlice(slice, parsed, key, options, (endpoint) => same(endpoint.zone, zone)),
  );
  const why = `${inZone.length} of ${all.length} records are in zone "${zone}"`;
  return { items: inZone.length === 0 && parsed.topology?.strict === false ? all : inZone, why };
}

function endpointItems(
  parsed: ParsedName,
  key: string,
  slices: readonly DnsSlice[],
  options: KubernetesOptions,
): Item[] {
  return slices
    .filter((slice) => parsed.endpoint === "" || same(slice.cluster, parsed.cluster))
    .flatMap((slice) =>
      itemsOfSlice(slice, parsed, key, options, (endpoint) => {
        return parsed.endpoint === "" || same(endpointName(endpoint, options), parsed.endpoint);
      }),
    );
}

function itemsOfSlice(
  slice: DnsSlice,
  parsed: ParsedName,
  key: string,
  options: KubernetesOptions,
  wanted: (endpoint: DnsEndpoint) => boolean,
): Item[] {
  const cluster = slice.cluster === "" ? "" : `${slice.cluster}.`;
  return slice.endpoints.filter(wanted).flatMap((endpoint) =>
    slice.ports
      .filter((port) => portMatches(parsed, port))
      .map((port) => ({
        host: endpoint.ip,
        port: port.number,
        key: `${endpointName(endpoint, options)}.${cluster}${key}`,
        ttl: options.ttl,
      })),
  );
}

function portMatches(parsed: ParsedName, port: DnsPort): boolean {
  return (
    (parsed.port === "" || same(port.name, parsed.port)) &&
    (parsed.protocol === "" || same(port.protocol, parsed.protocol))
  );
}

/** The name an endpoint has below its service. Mirrors endpointHostname(). */
export function endpointName(endpoint: DnsEndpoint, options: KubernetesOptions): string {
  if (endpoint.hostname !== "") return endpoint.hostname;
  if (options.endpointPodNames && endpoint.podName !== "") return endpoint.podName;
  const ip = parseIp(endpoint.ip);
  return ip === undefined ? "" : dashedIp(ip);
}

/** The names an address has. Mirrors plugin/kubernetes/reverse.go. */
export function findReverse(
  name: string,
  zone: string,
  index: KubernetesIndex,
  options: KubernetesOptions,
): Found {
  const ip = addressOfReverse(name);
  if (ip === undefined) {
    const found = findRecords(name, zone, index, options);
    return found.items === undefined ? found : { items: [], why: "not a reverse name" };
  }
  const text = formatIp(ip);
  const visible = (namespace: string): boolean =>
    options.namespaces.size === 0 || isExposed(namespace, index, options);
  const base = { port: 0, key: "", ttl: options.ttl };
  const service = index
    .servicesWithClusterIp(text)
    .find((candidate) => visible(candidate.namespace));
  if (service !== undefined) {
    const host = `${service.name}.${service.namespace}.svc.${options.primaryZone}`;
    return {
      items: [{ ...base, host }],
      why: `${text} is the ClusterIP of ${service.namespace}/${service.name}`,
    };
  }
  const items = index
    .slicesWithIp(text)
    .filter((slice) => visible(slice.namespace))
    .flatMap((slice) =>
      slice.endpoints
        .filter((endpoint) => endpoint.ip === text)
        .map((endpoint) => {
          const owner = `${slice.service}.${slice.namespace}.svc.${options.primaryZone}`;
          return { ...base, host: `${endpointName(endpoint, options)}.${owner}` };
        }),
    );
  if (items.length === 0)
    return missing(`${text} is neither a ClusterIP nor an endpoint of a service`);
  return { items, why: `${text} is an endpoint` };
}

/** One address of the server itself, and the name of the service that leads to it. */
export interface NsAddress {
  readonly name: string;
  readonly ip: string;
}

/** Where the zone's name server is: CoreDNS's own services. Mirrors plugin/kubernetes/ns.go. */
export function nsAddresses(
  zone: string,
  local: readonly string[],
  index: KubernetesIndex,
  options: KubernetesOptions,
  external?: { readonly headless: boolean },
): NsAddress[] {
  const found: NsAddress[] = [];
  const slices = local.flatMap((ip) => index.slicesWithIp(ip));
  for (const slice of slices) {
    for (const service of index.servicesNamed(slice.service, slice.namespace)) {
      const name = `${service.name}.${service.namespace}.${external === undefined ? "svc." : ""}${zone}`;
      const endpoints = slice.endpoints.map((endpoint) => ({
        name: `${endpointName(endpoint, options)}.${name}`,
        ip: endpoint.ip,
      }));
      const useEndpoints = service.headless && (external === undefined || external.headless);
      const own = external === undefined ? service.clusterIps : service.externalIps;
      found.push(...(useEndpoints ? endpoints : own.map((ip) => ({ name, ip }))));
    }
  }
  return slices.length > 0 ? found : local.map((ip) => ({ name: `ns.dns.${zone}`, ip }));
}

/** True when a name is `ns.dns.<zone>`, spelled as the zone is. */
export function isDefaultNs(lower: string, zone: string): boolean {
  return lower === `ns.dns.${zone}`;
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** The zone a name is in, in the name's own spelling. */
export function spelledZone(zones: readonly string[], name: string): string | undefined {
  let best: string | undefined;
  for (const zone of zones)
    if (isInZone(name, zone) && (best === undefined || zone.length > best.length)) best = zone;
  return best === undefined || best === "." ? best : name.slice(name.length - best.length);
}
