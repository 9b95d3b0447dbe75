import type { Service, ServicePort } from "kubernetes-types/core/v1.js";
import type { Cluster } from "../kube/cluster.js";
import { keyOf, namespaceOf } from "../kube/objects.js";
import { clusterIpsOf } from "../kube/own-addresses.js";
import { matchesMap } from "../kube/selectors.js";

type Slices = Cluster["endpointSlices"];

/** The slices of every Service, by its name. */
export function slicesByService({ endpointSlices }: Cluster): ReadonlyMap<string, Slices> {
  const found = new Map<string, Slices[number][]>();
  for (const slice of endpointSlices) {
    const service = slice.object.metadata?.labels?.["kubernetes.io/service-name"] ?? "";
    const key = `${namespaceOf(slice.object)}/${service}`;
    const own = found.get(key);
    if (own === undefined) found.set(key, [slice]);
    else own.push(slice);
  }
  return found;
}

/** Why the port that a request asks a Service for leads nowhere; nothing where it has a ready endpoint. */
export function endpointNotes(
  cluster: Cluster,
  key: string | undefined,
  protocol: "tcp" | "udp" | "icmp",
  port: number,
): readonly string[] {
  const found = cluster.services.find(({ object }) => keyOf(object) === key);
  if (found === undefined || protocol === "icmp") return [];
  const ports = found.object.spec?.ports ?? [];
  const wanted = ports.find((one) => one.port === port && protocolOf(one) === protocol);
  // Behind the name of a headless or external Service any port may be open.
  if (wanted === undefined)
    return clusterIpsOf(found.object).length === 0
      ? []
      : [unknownPort(found.object, protocol, port)];
  return [
    ...portNotes(cluster, found.object, wanted, slicesByService(cluster)),
    ...proxiedAddresses(found.object, wanted),
  ];
}

function unknownPort(service: Service, protocol: string, port: number): string {
  const listed = portList(service.spec?.ports ?? []);
  return `Service ${keyOf(service)} has no port ${protocol}/${port}, so nothing takes its address there; it has ${listed}`;
}

/** `http tcp/80, dns udp/53`. */
export function portList(ports: readonly ServicePort[]): string {
  const texts = ports.map((one) => `${one.name ?? ""} ${protocolOf(one)}/${one.port}`.trim());
  return texts.length === 0 ? "none" : texts.join(", ");
}

function protocolOf({ protocol = "TCP" }: ServicePort): string {
  return protocol.toLowerCase();
}

/** Behind an address of ipMode `Proxy` stands a machine that opens connections of its own: no node captures it. */
function proxiedAddresses({ spec, status }: Service, { nodePort }: ServicePort): readonly string[] {
  const ingress = spec?.type === "LoadBalancer" ? (status?.loadBalancer?.ingress ?? []) : [];
  return ingress
    .filter(({ ipMode }) => ipMode === "Proxy")
    .map(
      ({ ip, hostname }) =>
        `load balancer ${ip ?? hostname ?? ""} has ipMode Proxy: it opens connections of its own to ${nodePort === undefined ? "endpoints" : `node port ${nodePort}`}, from its own address`,
    );
}

/** Why one port of a Service has no ready endpoint, in words; nothing where it has one. */
export function portNotes(
  cluster: Cluster,
  service: Service,
  wanted: ServicePort,
  known: ReadonlyMap<string, Slices>,
): readonly string[] {
  const key = keyOf(service);
  const slices = known.get(key) ?? [];
  const endpoints = slices.flatMap(({ object }) => object.endpoints ?? []);
  const withPort = slices
    .filter(({ object }) =>
      (object.ports ?? []).some(({ name = "" }) => name === (wanted.name ?? "")),
    )
    .flatMap(({ object }) => object.endpoints ?? []);
  const ready = withPort.filter(({ conditions }) => conditions?.ready !== false);
  if (ready.length > 0) return [];
  const what = `Service ${key} has no endpoint for port ${wanted.port}`;
  if (withPort.length > 0)
    return [
      `${what} that is ready: ${withPort.length === 1 ? "its pod is not" : `none of its ${withPort.length} pods is`}`,
    ];
  if (endpoints.length > 0 && typeof wanted.targetPort === "string")
    return [
      `${what}: ${endpoints.length === 1 ? "its pod has no" : `none of its ${endpoints.length} pods has a`} port named "${wanted.targetPort}"`,
    ];
  return [`${what}: ${selectorText(cluster, service)}`];
}

function selectorText(cluster: Cluster, service: Service): string {
  const pairs = Object.entries(service.spec?.selector ?? {});
  if (pairs.length === 0) return "it has no selector, and no EndpointSlice names it";
  const labels = pairs.map(([name, value]) => `${name}=${value}`).join(",");
  const namespace = namespaceOf(service);
  const fitting = cluster.pods.filter(
    (pod) =>
      pod.namespace === namespace &&
      matchesMap(service.spec?.selector ?? {}, pod.loaded.object.metadata?.labels),
  );
  if (fitting.length === 0) return `no pod in namespace ${namespace} has the labels ${labels}`;
  return fitting.length === 1
    ? `the pod in namespace ${namespace} with the labels ${labels} has no address`
    : `${fitting.length} pods in namespace ${namespace} with the labels ${labels}, none with an address`;
}
