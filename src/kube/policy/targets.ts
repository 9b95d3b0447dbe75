import type { Service } from "kubernetes-types/core/v1.js";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { safeText } from "../../base/safe-text.js";
import type { Cluster } from "../cluster.js";
import { keyOf, type Loaded, namespaceOf } from "../objects.js";
import { parseAddress } from "./cidr.js";
import type { Dialect } from "./dialect.js";
import {
  type Endpoint,
  endpointOf,
  policyObjectsOf,
  type PodEndpoint,
  policyWorld,
  type PolicyWorld,
  type ServiceEnd,
} from "./world.js";

/** A world with the Services by which people name what they connect to. */
export interface Targets {
  readonly world: PolicyWorld;
  readonly services: readonly Loaded<Service>[];
  readonly endpointSlices: readonly Loaded<EndpointSlice>[];
}

export function targetsOf(cluster: Cluster, dialect?: Dialect): Targets {
  const { services, endpointSlices } = cluster;
  return { world: policyWorld(policyObjectsOf(cluster), dialect), services, endpointSlices };
}

/** Where a connection ends after the Service was translated. */
export interface Target {
  readonly endpoint: Endpoint;
  readonly protocol: string;
  readonly port: number | undefined;
}

/** A Service by its key, and as policy sees it that looks before translation. */
export interface NamedService extends ServiceEnd {
  readonly key: string;
}

export interface Destination {
  /** As the user would write it, complete: `shop/db:5432`. */
  readonly name: string;
  /** The Service that was asked and its port; undefined for pods and addresses. */
  readonly service: NamedService | undefined;
  /** One for each backend of a Service; empty when it has none. */
  readonly targets: readonly Target[];
}

/** Resolves `ns/pod`, `IP`, `pod:…`, `ip:…`, `node:…`. Throws a UserError with the nearest name. */
export function resolveSource(targets: Targets, text: string): Endpoint {
  const { prefix, rest } = splitPrefix(text);
  if (prefix === "svc")
    throw new UserError("ENDPOINT_KIND", `a Service cannot open a connection: "${safeText(text)}"`);
  const found = namedEndpoint(targets.world, prefix, rest);
  if (found === undefined) throw unknownEndpoint(targets, text);
  return found;
}

/**
 * Resolves `ns/pod[:port]`, `ns/service[:port]`, `IP[:port]`, `name.ns[:port]`, `http://name/`; the port a number or a name. A
 * pod without a port means the only one that it declares. Throws a UserError.
 */
export function resolveDestination(
  targets: Targets,
  text: string,
  protocol: string = "TCP",
  from?: Endpoint,
): Destination {
  const url = /^(https?):\/\/([^/]+)(\/|$)/.exec(text);
  const { prefix, rest } = splitPrefix(url?.[2] ?? text);
  const { name, port: given } = splitPort(rest);
  const port = given ?? (url === null ? undefined : url[1] === "https" ? "443" : "80");
  const service =
    prefix === undefined || prefix === "svc" ? findService(targets, name, from) : undefined;
  const endpoint = prefix === "svc" ? undefined : namedEndpoint(targets.world, prefix, name);
  if (service !== undefined && endpoint?.kind === "pod") {
    const key = safeText(name);
    throw new UserError("ENDPOINT_AMBIGUOUS", `"${key}" is a pod and a Service`, {
      help: `write pod:${key} or svc:${key}`,
    });
  }
  if (service !== undefined) return serviceDestination(targets, service, port, protocol);
  if (endpoint === undefined) throw unknownEndpoint(targets, name);
  if (protocol !== "TCP" && protocol !== "UDP" && protocol !== "SCTP")
    return { name, service: undefined, targets: [{ endpoint, protocol, port: undefined }] };
  const number = podPort(endpoint, name, port, protocol);
  return {
    name: `${name}:${number}`,
    service: undefined,
    targets: [{ endpoint, protocol, port: number }],
  };
}

function splitPrefix(text: string): {
  readonly prefix: "pod" | "svc" | "node" | "ip" | undefined;
  readonly rest: string;
} {
  const found = /^(pod|svc|node|ip):(?!\/\/)(.+)$/.exec(text);
  return found === null
    ? { prefix: undefined, rest: text }
    : { prefix: found[1] as "pod", rest: found[2] ?? "" };
}

/** `[v6]:port`, `name:port`; a bare IPv6 address has no port. */
function splitPort(text: string): { readonly name: string; readonly port: string | undefined } {
  const bracketed = /^\[([^\]]+)\](?::(.+))?$/.exec(text);
  if (bracketed !== null) return { name: bracketed[1] ?? "", port: bracketed[2] };
  const colon = text.lastIndexOf(":");
  if (colon < 0 || text.indexOf(":") !== colon) return { name: text, port: undefined };
  return { name: text.slice(0, colon), port: text.slice(colon + 1) };
}

function namedEndpoint(
  world: PolicyWorld,
  prefix: "pod" | "svc" | "node" | "ip" | undefined,
  name: string,
): Endpoint | undefined {
  const address = parseAddress(name);
  if (address !== undefined && (prefix === undefined || prefix === "ip"))
    return endpointOf(world, address);
  const pod = world.podByKey.get(name);
  if (pod !== undefined && (prefix === undefined || prefix === "pod")) return pod;
  const [own] =
    prefix === undefined || prefix === "node"
      ? (world.nodes.find((node) => node.name === name)?.addresses ?? [])
      : [];
  return own === undefined ? undefined : { kind: "address", address: own };
}

/** `shop/db`, or a DNS name of it: `db.shop`, `db.shop.svc.cluster.local`, and `db` from a pod of its namespace. */
function findService(
  { services }: Targets,
  name: string,
  from: Endpoint | undefined,
): Loaded<Service> | undefined {
  const [first = "", second, third] = name.split(".");
  const namespace = second ?? (from?.kind === "pod" ? from.namespace : undefined);
  const byDns = third === undefined || third === "svc" ? `${namespace}/${first}` : undefined;
  return services.find(
    ({ object }) => keyOf(object) === name || (!name.includes("/") && keyOf(object) === byDns),
  );
}

function serviceDestination(
  { world, endpointSlices }: Targets,
  service: Loaded<Service>,
  port: string | undefined,
  protocol: string,
): Destination {
  const key = keyOf(service.object);
  const ports = (service.object.spec?.ports ?? []).filter(
    (each) => (each.protocol ?? "TCP") === protocol,
  );
  const found =
    port === undefined
      ? ports[0]
      : ports.find((each) => String(each.port) === port || each.name === port);
  if (found === undefined || (port === undefined && ports.length > 1)) {
    const known = ports
      .map((each) => `${each.port}${each.name === undefined ? "" : ` (${each.name})`}`)
      .join(", ");
    const message =
      port === undefined
        ? `Service ${key} has ${ports.length} ${protocol} ports`
        : `Service ${key} has no ${protocol} port ${safeText(port)}`;
    throw new UserError("ENDPOINT_PORT", message, {
      help: known === "" ? undefined : `its ${protocol} ports are ${known}`,
    });
  }
  const own = endpointSlices.filter(
    ({ object }) =>
      namespaceOf(object) === namespaceOf(service.object) &&
      object.metadata?.labels?.["kubernetes.io/service-name"] === service.object.metadata?.name,
  );
  const backends = own.flatMap(({ object }): readonly Target[] => {
    const target = (object.ports ?? []).find(
      (each) => (each.name ?? "") === (found.name ?? "") && (each.protocol ?? "TCP") === protocol,
    );
    if (target?.port === undefined) return [];
    const number = target.port;
    return object.endpoints
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses.slice(0, 1).flatMap((text) => parseAddress(text) ?? []))
      .map((address) => ({ endpoint: endpointOf(world, address), protocol, port: number }));
  });
  const named = { key, port: found.port, endpoint: serviceEndpoint(service) };
  return { name: `${key}:${found.port}`, service: named, targets: backends };
}

/** The Service's own addresses, the labels that it selects by, and its ports under the names of the pods' ports. */
function serviceEndpoint(service: Loaded<Service>): PodEndpoint {
  const { object, origin } = service;
  const { spec } = object;
  const addresses = (spec?.clusterIPs ?? [spec?.clusterIP ?? ""]).flatMap(
    (text) => parseAddress(text) ?? [],
  );
  const metadata = { name: object.metadata?.name ?? "", namespace: namespaceOf(object) };
  return {
    kind: "pod",
    key: `Service ${keyOf(object)}`,
    namespace: metadata.namespace,
    name: `Service ${metadata.name}`,
    labels: spec?.selector ?? {},
    addresses,
    node: undefined,
    hostNetwork: false,
    ports: (spec?.ports ?? []).map(({ port, protocol = "TCP", targetPort }) => ({
      name: typeof targetPort === "string" ? targetPort : undefined,
      protocol,
      number: port,
    })),
    loaded: { object: { metadata }, origin },
  };
}

/** A number, a name that the pod declares, or nothing when it declares one port alone. */
function podPort(
  endpoint: Endpoint,
  name: string,
  port: string | undefined,
  protocol: string,
): number {
  const declared =
    endpoint.kind === "pod" ? endpoint.ports.filter((each) => each.protocol === protocol) : [];
  if (port !== undefined && /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)
    return Number(port);
  const fitting = port === undefined ? declared : declared.filter((each) => each.name === port);
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only.number;
  const known = declared
    .map((each) =>
      each.name === undefined ? String(each.number) : `${each.number} (${each.name})`,
    )
    .join(", ");
  const message =
    port === undefined
      ? `which port of ${safeText(name)}?`
      : `${safeText(name)} has no ${protocol} port "${safeText(port)}"`;
  throw new UserError("ENDPOINT_PORT", message, {
    help: known === "" ? `write ${safeText(name)}:PORT` : `it declares ${known}`,
  });
}

function unknownEndpoint({ world, services }: Targets, text: string): UserError {
  const pods = [...world.podByKey.keys()];
  const names = [
    ...pods,
    ...services.map(({ object }) => keyOf(object)),
    ...world.nodes.map(({ name }) => name),
  ];
  // The name alone, as `kubectl get pods` shows it.
  const near = names.find((name) => name.endsWith(`/${text}`)) ?? nearest(text, names);
  const all = `hopwise show pods lists all ${pods.length}`;
  return new UserError("ENDPOINT_UNKNOWN", `no pod, service or node "${safeText(text)}"`, {
    help: near === undefined ? all : `did you mean ${near}?  ${all}`,
  });
}
