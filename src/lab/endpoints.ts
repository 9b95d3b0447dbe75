import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { Service, ServicePort } from "kubernetes-types/core/v1.js";
import type { Cluster, ClusterNode, ClusterPod } from "../kube/cluster.js";
import { podNamespace } from "../kube/nodes.js";
import { keyOf, type Loaded } from "../kube/objects.js";
import {
  clusterIpsOf,
  nodeAddresses,
  nodeAt,
  ofFamily,
  podAddresses,
  podAt,
} from "../kube/own-addresses.js";
import { formatIp, type IpAddress, parseIpv4, parseIpv6 } from "../wire/ip.js";
import { portList } from "./service-notes.js";

/** Who sends: a namespace of the world, or a host outside with an address. */
export type Source =
  | {
      readonly kind: "inside";
      readonly ns: string;
      /** The one of the cluster's first family that it has. */
      readonly address: IpAddress;
      /** All of them. */
      readonly addresses: readonly IpAddress[];
      readonly pod: ClusterPod | undefined;
    }
  | { readonly kind: "outside"; readonly address: IpAddress };

/** To whom: an address and a port, or a name to be looked up first. */
export type Destination =
  | {
      readonly kind: "address";
      readonly address: IpAddress;
      readonly port: number;
      readonly service: string | undefined;
      readonly pod: ClusterPod | undefined;
    }
  | { readonly kind: "name"; readonly name: string; readonly port: number };

/** Kinds of workloads by the words kubectl knows them by. */
const workloadWords: Readonly<Record<string, string>> = {
  deployment: "Deployment",
  deploy: "Deployment",
  replicaset: "ReplicaSet",
  rs: "ReplicaSet",
  statefulset: "StatefulSet",
  sts: "StatefulSet",
  daemonset: "DaemonSet",
  ds: "DaemonSet",
  job: "Job",
  cronjob: "CronJob",
  replicationcontroller: "ReplicationController",
  rc: "ReplicationController",
};

/** Reads SRC: `ns/pod`, `ns/deployment/name`, a node, an address; `pod:`, `node:`, `ip:` say which. Throws UserError. */
export function parseSource(text: string, cluster: Cluster, world: string): Source {
  const { prefix, rest } = prefixOf(text);
  const address = prefix === undefined || prefix === "ip" ? parseAddress(rest) : undefined;
  if (address !== undefined) return sourceAt(address, cluster);
  const pod = prefix === "node" ? undefined : findPod(rest, cluster);
  const node = prefix === "pod" ? undefined : cluster.nodes.find(({ name }) => name === rest);
  if (pod !== undefined) return insidePod(pod, cluster);
  if (node !== undefined) return insideNode(node, cluster);
  throw unknownName(text, rest, cluster, world);
}

/** Reads DST as spec/ux.md 1.2 lists its forms. Throws UserError, with the candidates where a name is ambiguous. */
export function parseDestination(
  text: string,
  cluster: Cluster,
  world: string,
  protocol: "tcp" | "udp" | "icmp",
  family?: 4 | 6,
): Destination {
  const url = /^(https?):\/\/(\[[^\]/]+\]|[^/:]+)(?::(\d+))?(?:\/.*)?$/.exec(text);
  if (url !== null) {
    const [, scheme, host = "", port] = url;
    return named(
      host,
      port === undefined ? (scheme === "https" ? 443 : 80) : portNumber(port, text),
      cluster,
    );
  }
  const { prefix, rest } = prefixOf(text);
  const { name, port } = splitPort(rest);
  const address = parseAddress(name);
  if (address !== undefined && (prefix === undefined || prefix === "ip"))
    return addressed(address, numericPort(port, protocol, text), cluster);
  const service =
    prefix === undefined || prefix === "svc"
      ? cluster.services.find(({ object }) => keyOf(object) === name)
      : undefined;
  const pod = prefix === undefined || prefix === "pod" ? findPod(name, cluster) : undefined;
  const node =
    prefix === undefined || prefix === "node"
      ? cluster.nodes.find((one) => one.name === name)
      : undefined;
  // A workload's name means its pod only where no Service has that name.
  if (service !== undefined && pod?.key === name) throw ambiguous(text, name);
  if (service !== undefined) return serviceDestination(service, port, { protocol, text, family });
  if (pod !== undefined)
    return podDestination(insidePod(pod, cluster), pod, port, { protocol, text, family });
  if (node !== undefined)
    return {
      kind: "address",
      address: ofWantedFamily(insideNode(node, cluster), family, `node ${node.name}`),
      port: numericPort(port, protocol, text),
      service: undefined,
      pod: undefined,
    };
  if (prefix === undefined && !name.includes("/") && port !== undefined && /^[\w.-]+$/.test(name))
    return named(name, portNumber(port, text), cluster);
  throw unknownName(text, name, cluster, world);
}

/** An address of either family; one of IPv6 may stand in brackets, as before a port. */
function parseAddress(text: string): IpAddress | undefined {
  const [, inner = text] = /^\[(.*)\]$/.exec(text) ?? [];
  return parseIpv4(text) ?? parseIpv6(inner);
}

/** `NAME:PORT`, `[ADDRESS]:PORT`; a bare IPv6 address has no port. */
function splitPort(text: string): { readonly name: string; readonly port: string | undefined } {
  const colon = text.lastIndexOf(":");
  return colon < 0 || text.endsWith("]") || parseIpv6(text) !== undefined
    ? { name: text, port: undefined }
    : { name: text.slice(0, colon), port: text.slice(colon + 1) };
}

/** A host outside, or what has the address inside. */
function sourceAt(address: IpAddress, cluster: Cluster): Source {
  const pod = podAt(cluster, address);
  if (pod !== undefined) return { ...insidePod(pod, cluster), address, addresses: [address] };
  const node = nodeAt(cluster, address);
  return node === undefined
    ? { kind: "outside", address }
    : { ...insideNode(node, cluster), address, addresses: [address] };
}

type Inside = Extract<Source, { readonly kind: "inside" }>;

function insideNode(node: ClusterNode, { networks }: Cluster): Inside {
  // In a cluster of IPv6 alone the address of IPv4 is no node's InternalIP.
  const own = inFamilies(nodeAddresses(node), networks.families);
  const addresses = own.length > 0 ? own : [node.address];
  const address = addresses[0] ?? node.address;
  return { kind: "inside", ns: node.name, address, addresses, pod: undefined };
}

function inFamilies(
  addresses: readonly IpAddress[],
  families: readonly (4 | 6)[],
): readonly IpAddress[] {
  return families.flatMap((family) => ofFamily(addresses, family) ?? []);
}

function insidePod(pod: ClusterPod, { networks }: Cluster): Inside {
  const ns = podNamespace(pod);
  const addresses = inFamilies(podAddresses(pod), networks.families);
  const [address] = addresses;
  if (ns === undefined || address === undefined) {
    throw new UserError(
      "POD_PENDING",
      `Pod ${pod.key} runs nowhere: ${pod.pending ?? "it has no address"}`,
      { place: pod.loaded.origin.placeOf([]) },
    );
  }
  return { kind: "inside", ns, address, addresses, pod };
}

/** The address of the family that is asked for; the first one where none is. */
function ofWantedFamily(
  { address, addresses }: Inside,
  family: 4 | 6 | undefined,
  what: string,
): IpAddress {
  if (family === undefined) return address;
  const found = ofFamily(addresses, family);
  if (found === undefined) throw noFamily(what, family, addresses.map(formatIp));
  return found;
}

function noFamily(what: string, family: 4 | 6, has: readonly string[]): UserError {
  return new UserError("ADDRESS_FAMILY", `${what} has no IPv${family} address`, {
    help: `it has ${has.join(" and ")}`,
  });
}

function named(name: string, port: number, cluster: Cluster): Destination {
  const address = parseAddress(name);
  return address === undefined ? { kind: "name", name, port } : addressed(address, port, cluster);
}

function addressed(address: IpAddress, port: number, cluster: Cluster): Destination {
  const service = cluster.services.find(({ object }) => clusterIpsOf(object).includes(address));
  return {
    kind: "address",
    address,
    port,
    service: service === undefined ? undefined : keyOf(service.object),
    pod: podAt(cluster, address),
  };
}

/** How a destination is asked for. */
interface Asked {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly text: string;
  readonly family: 4 | 6 | undefined;
}

function serviceDestination(
  { object, origin }: Loaded<Service>,
  port: string | undefined,
  { protocol, text, family }: Asked,
): Destination {
  const key = keyOf(object);
  const ports: readonly ServicePort[] = (object.spec?.ports ?? []).filter(
    (one) => (one.protocol ?? "TCP").toLowerCase() === protocol,
  );
  const listed = portList(object.spec?.ports ?? []);
  const own = clusterIpsOf(object);
  const address = family === undefined ? own[0] : ofFamily(own, family);
  if (address === undefined && own.length > 0 && family !== undefined)
    throw noFamily(`Service ${key}`, family, own.map(formatIp));
  if (address === undefined) {
    const { type, clusterIP = type ?? "none", externalName } = object.spec ?? {};
    const answer =
      type === "ExternalName" ? `DNS answers ${externalName ?? ""}` : "DNS picks a pod";
    const name = `${object.metadata?.name ?? ""}.${object.metadata?.namespace ?? "default"}`;
    throw new UserError("SERVICE_NO_ADDRESS", `Service ${key} has no cluster IP (${clusterIP})`, {
      place: origin.placeOf([]),
      help: `ask for it by name, so that ${answer}: ${name}:${port ?? ports[0]?.port ?? "PORT"}`,
    });
  }
  if (port === undefined) {
    const [only, second] = ports;
    if (protocol === "icmp")
      return { kind: "address", address, port: 0, service: key, pod: undefined };
    if (only === undefined || second !== undefined) {
      throw new UserError(
        "SERVICE_PORT",
        `Service ${key} has ${ports.length === 0 ? "no" : "several"} ${protocol} ports`,
        { help: `say which: ${text}:PORT; it has ${listed}` },
      );
    }
    return { kind: "address", address, port: only.port, service: key, pod: undefined };
  }
  const found = ports.find((one) => one.name === port);
  if (found === undefined && !/^\d+$/.test(port)) {
    const near = nearest(
      port,
      ports.flatMap(({ name = "" }) => (name === "" ? [] : [name])),
    );
    throw new UserError("SERVICE_PORT", `Service ${key} has no ${protocol} port "${port}"`, {
      help: near === undefined ? `it has ${listed}` : `did you mean "${near}"?`,
    });
  }
  return {
    kind: "address",
    address,
    port: found?.port ?? portNumber(port, text),
    service: key,
    pod: undefined,
  };
}

function podDestination(
  source: Inside,
  pod: ClusterPod,
  port: string | undefined,
  { protocol, text, family }: Asked,
): Destination {
  const declared = (pod.loaded.object.spec?.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .filter((one) => (one.protocol ?? "TCP").toLowerCase() === protocol);
  const byName = declared.find(({ name }) => name !== undefined && name === port)?.containerPort;
  const only = port === undefined && declared.length === 1 ? declared[0]?.containerPort : undefined;
  if (port === undefined && only === undefined && protocol !== "icmp") {
    throw new UserError(
      "POD_PORT",
      `Pod ${pod.key} declares ${declared.length === 0 ? "no" : "several"} ${protocol} ports`,
      {
        help:
          declared.length === 0
            ? `say which: ${text}:PORT`
            : `say which: ${text}:PORT; it declares ${declared.map(({ name = "", containerPort }) => `${name} ${containerPort}`.trim()).join(", ")}`,
      },
    );
  }
  return {
    kind: "address",
    address: ofWantedFamily(source, family, `Pod ${pod.key}`),
    port: byName ?? only ?? numericPort(port, protocol, text),
    service: undefined,
    pod,
  };
}

function numericPort(port: string | undefined, protocol: string, text: string): number {
  if (protocol === "icmp") return 0;
  if (port === undefined)
    throw new UserError("PORT_MISSING", `"${text}" names no port`, {
      help: `add one: ${text}:PORT, or --proto icmp`,
    });
  return portNumber(port, text);
}

function portNumber(port: string, text: string): number {
  const value = Number(port);
  if (!/^\d+$/.test(port) || value < 1 || value > 65_535)
    throw new UserError("PORT_BAD", `"${port}" in "${text}" is not a port`, {
      help: "a port is a number from 1 to 65535",
    });
  return value;
}

function prefixOf(text: string): {
  readonly prefix: "pod" | "svc" | "node" | "ip" | undefined;
  readonly rest: string;
} {
  const slashed = /^(pod|svc)\/([^/]+\/[^/]+)$/.exec(text);
  const match = slashed ?? /^(pod|svc|node|ip):(.+)$/.exec(text);
  const word = match?.[1];
  return word === "pod" || word === "svc" || word === "node" || word === "ip"
    ? { prefix: word, rest: match?.[2] ?? "" }
    : { prefix: undefined, rest: text };
}

/** A name that means a workload's pod, as that pod's own name; any other text as it is. A port stays behind it. */
export function podNameFor(text: string, cluster: Cluster): string {
  const [, name = "", port = ""] = /^([^:]*)(:.*)?$/.exec(text) ?? [];
  const pod = cluster.services.some(({ object }) => keyOf(object) === name)
    ? undefined
    : findPod(name, cluster);
  return pod === undefined ? text : `${pod.key}${port}`;
}

/** `ns/pod`, or `ns/deployment/name` for the first ready pod of a workload; `ns/name` may name a workload too. */
function findPod(text: string, cluster: Cluster): ClusterPod | undefined {
  const parts = text.split("/");
  const [namespace, word = "", name] = parts;
  if (parts.length === 2) {
    return (
      cluster.pods.find(({ key }) => key === text) ??
      firstOf(
        cluster.pods.filter((pod) => pod.namespace === namespace && pod.workload?.name === word),
      )
    );
  }
  const kind = workloadWords[word.toLowerCase()];
  if (parts.length !== 3 || kind === undefined) return undefined;
  return firstOf(
    cluster.pods.filter(
      (pod) =>
        pod.namespace === namespace && pod.workload?.kind === kind && pod.workload.name === name,
    ),
  );
}

function firstOf(pods: readonly ClusterPod[]): ClusterPod | undefined {
  return pods.find(({ ready }) => ready) ?? pods[0];
}

function ambiguous(text: string, name: string): UserError {
  return new UserError("NAME_AMBIGUOUS", `"${text}" is a pod and a service`, {
    help: `say pod:${name} or svc:${name}`,
  });
}

function unknownName(text: string, name: string, cluster: Cluster, world: string): UserError {
  const pods = cluster.pods.map(({ key }) => key);
  const services = cluster.services.map(({ object }) => keyOf(object));
  const known = [
    ...pods,
    ...services,
    ...cluster.nodes.map((node) => node.name),
    ...cluster.pods.flatMap(({ namespace, workload }) =>
      workload === undefined ? [] : [`${namespace}/${workload.name}`],
    ),
  ];
  // A name alone, or behind its kind, as kubectl takes it in a context that has a namespace.
  const [, kind, bare = name] = /^(pod|svc)\/([^/]+)$/.exec(name) ?? [];
  const ofKind = kind === "pod" ? pods : kind === "svc" ? services : known;
  const found = ofKind.find((key) => key.endsWith(`/${bare}`)) ?? nearest(name, known);
  const near = found === undefined || kind === undefined ? found : `${kind}/${found}`;
  const lists = `hopwise show pods lists all ${cluster.pods.length}`;
  return new UserError("NAME_UNKNOWN", `no pod, service or node "${text}" in ${world}`, {
    help: near === undefined ? lists : `did you mean ${near}?  ${lists}`,
  });
}
