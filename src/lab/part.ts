import type { Cluster, ClusterPod } from "../kube/cluster.js";
import { externalAddresses } from "../kube/external-routes.js";
import { keyOf, nameOf, namespaceOf } from "../kube/objects.js";
import { clusterIpsOf, nodeAddresses, nodeAt, podAddresses } from "../kube/own-addresses.js";
import { type IpAddress, parseIpv4, parseIpv6 } from "../wire/ip.js";
import type { ClusterPart } from "./cluster-lab.js";
import type { Destination, Source } from "./endpoints.js";
import { dnsPods } from "./live-cluster.js";
import type { NodeRecord } from "./recorded/node-record.js";

/**
 * The nodes and pods that a request can meet: its source, the DNS pods when they are asked, and whatever has or stands
 * for the destination. Nothing else need be built. A name may turn out to be elsewhere: see `holds`.
 */
export function partFor(
  cluster: Cluster,
  source: Source,
  destination: Destination,
  records: ReadonlyMap<string, NodeRecord> = new Map(),
): ClusterPart {
  const behind = addressesBehind(cluster, destination);
  const servers = dnsPods(cluster);
  const asksDns =
    destination.kind === "name" ||
    servers.some((pod) => podAddresses(pod).some((address) => behind.has(address)));
  const pods = cluster.pods.filter(
    (pod) =>
      (source.kind === "inside" && pod === source.pod) ||
      (asksDns && servers.includes(pod)) ||
      podAddresses(pod).some((address) => behind.has(address)),
  );
  const entries = new Set(
    cluster.externalRoutes.flatMap(({ address, node }) => (behind.has(address) ? [node.name] : [])),
  );
  const nodes = cluster.nodes.filter(
    (node) =>
      nodeAddresses(node).some((address) => behind.has(address)) ||
      entries.has(node.name) ||
      hasRecorded(records.get(node.name), destination) ||
      (source.kind === "inside" && source.ns === node.name) ||
      pods.some((pod) => pod.node === node.name),
  );
  return {
    nodes: new Set(nodes.map(({ name }) => name)),
    pods: new Set(pods.map(({ key }) => key)),
  };
}

/** Whether the destination is an address that only the node's dump tells. */
function hasRecorded(record: NodeRecord | undefined, destination: Destination): boolean {
  return (
    destination.kind === "address" &&
    (record?.links ?? []).some(({ addresses }) =>
      addresses.some(({ address }) => address === destination.address),
    )
  );
}

/** Whether everything that has or stands for an address is in the part. */
export function holds(
  part: ClusterPart,
  cluster: Cluster,
  address: IpAddress,
  port: number,
): boolean {
  const destination = {
    kind: "address" as const,
    address,
    port,
    service: undefined,
    pod: undefined,
  };
  const behind = addressesBehind(cluster, destination);
  return (
    cluster.nodes.every(
      (node) => part.nodes.has(node.name) || !nodeAddresses(node).some((own) => behind.has(own)),
    ) &&
    cluster.pods.every(
      (pod) => part.pods.has(pod.key) || !podAddresses(pod).some((own) => behind.has(own)),
    )
  );
}

/** The destination's own address, those of every endpoint that a Service may send its packets to, and of a host port's pods. */
export function addressesBehind(
  cluster: Cluster,
  destination: Destination,
): ReadonlySet<IpAddress> {
  const services = new Set(
    cluster.services
      .filter(({ object }) => answers(cluster, object, destination))
      .map(({ object }) => keyOf(object)),
  );
  const behind = new Set<IpAddress>(
    destination.kind === "address"
      ? [destination.address, ...podsBehindHostPort(cluster, destination).flatMap(podAddresses)]
      : [],
  );
  for (const { object } of cluster.endpointSlices) {
    const service = object.metadata?.labels?.["kubernetes.io/service-name"] ?? "";
    if (!services.has(`${namespaceOf(object)}/${service}`)) continue;
    for (const text of (object.endpoints ?? []).flatMap(({ addresses }) => addresses)) {
      const address = parseIpv4(text) ?? parseIpv6(text);
      if (address !== undefined) behind.add(address);
    }
  }
  return behind;
}

/** The pods of a node that have one of its ports by NAT. */
function podsBehindHostPort(
  cluster: Cluster,
  { address, port }: Extract<Destination, { kind: "address" }>,
): readonly ClusterPod[] {
  const node = nodeAt(cluster, address);
  if (node === undefined) return [];
  return cluster.pods.filter(
    (pod) =>
      pod.node === node.name &&
      !pod.hostNetwork &&
      (pod.loaded.object.spec?.containers ?? []).some(({ ports = [] }) =>
        ports.some(({ hostPort }) => hostPort === port),
      ),
  );
}

type ServiceObject = Cluster["services"][number]["object"];

/** Whether a Service may be what is meant: by its name's first label, its cluster IP, or a node port. */
function answers(cluster: Cluster, service: ServiceObject, destination: Destination): boolean {
  if (destination.kind === "name") return nameOf(service) === destination.name.split(".")[0];
  const { ports = [] } = service.spec ?? {};
  const own = [...clusterIpsOf(service), ...externalAddresses(service)].includes(
    destination.address,
  );
  const onNode = nodeAt(cluster, destination.address) !== undefined;
  return own || (onNode && ports.some(({ nodePort }) => nodePort === destination.port));
}
