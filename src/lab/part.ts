import type { Cluster } from "../kube/cluster.js";
import { externalAddresses } from "../kube/external-routes.js";
import { keyOf, nameOf, namespaceOf } from "../kube/objects.js";
import { type Ipv4, parseIpv4 } from "../wire/ip.js";
import type { ClusterPart } from "./cluster-lab.js";
import type { Destination, Source } from "./endpoints.js";
import { dnsPods } from "./live-cluster.js";

/**
 * The nodes and pods that a request can meet: its source, the DNS pods when they are asked, and whatever has or stands
 * for the destination. Nothing else need be built. A name may turn out to be elsewhere: see `holds`.
 */
export function partFor(cluster: Cluster, source: Source, destination: Destination): ClusterPart {
  const behind = addressesBehind(cluster, destination);
  const servers = dnsPods(cluster);
  const asksDns =
    destination.kind === "name" ||
    servers.some(({ address }) => address !== undefined && behind.has(address));
  const pods = cluster.pods.filter(
    (pod) =>
      (source.kind === "inside" && pod === source.pod) ||
      (asksDns && servers.includes(pod)) ||
      (pod.address !== undefined && behind.has(pod.address)),
  );
  const entries = new Set(
    cluster.externalRoutes.flatMap(({ address, node }) => (behind.has(address) ? [node.name] : [])),
  );
  const nodes = cluster.nodes.filter(
    ({ name, address }) =>
      behind.has(address) ||
      entries.has(name) ||
      (source.kind === "inside" && source.ns === name) ||
      pods.some(({ node }) => node === name),
  );
  return {
    nodes: new Set(nodes.map(({ name }) => name)),
    pods: new Set(pods.map(({ key }) => key)),
  };
}

/** Whether everything that has or stands for an address is in the part. */
export function holds(part: ClusterPart, cluster: Cluster, address: Ipv4, port: number): boolean {
  const destination = {
    kind: "address" as const,
    address,
    port,
    service: undefined,
    pod: undefined,
  };
  const behind = addressesBehind(cluster, destination);
  return (
    cluster.nodes.every((node) => !behind.has(node.address) || part.nodes.has(node.name)) &&
    cluster.pods.every(
      (pod) => pod.address === undefined || !behind.has(pod.address) || part.pods.has(pod.key),
    )
  );
}

/** The destination's own address, and those of every endpoint that a Service may send its packets to. */
export function addressesBehind(cluster: Cluster, destination: Destination): ReadonlySet<Ipv4> {
  const services = new Set(
    cluster.services
      .filter(({ object }) => answers(cluster, object, destination))
      .map(({ object }) => keyOf(object)),
  );
  const behind = new Set<Ipv4>(destination.kind === "address" ? [destination.address] : []);
  for (const { object } of cluster.endpointSlices) {
    const service = object.metadata?.labels?.["kubernetes.io/service-name"] ?? "";
    if (!services.has(`${namespaceOf(object)}/${service}`)) continue;
    for (const text of (object.endpoints ?? []).flatMap(({ addresses }) => addresses)) {
      const address = parseIpv4(text);
      if (address !== undefined) behind.add(address);
    }
  }
  return behind;
}

type ServiceObject = Cluster["services"][number]["object"];

/** Whether a Service may be what is meant: by its name's first label, its cluster IP, or a node port. */
function answers(cluster: Cluster, service: ServiceObject, destination: Destination): boolean {
  if (destination.kind === "name") return nameOf(service) === destination.name.split(".")[0];
  const { clusterIP = "", ports = [] } = service.spec ?? {};
  const own = [parseIpv4(clusterIP), ...externalAddresses(service)].includes(destination.address);
  const onNode = cluster.nodes.some(({ address }) => address === destination.address);
  return own || (onNode && ports.some(({ nodePort }) => nodePort === destination.port));
}
