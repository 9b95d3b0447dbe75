import { UserError } from "../../base/errors.js";
import {
  formatIp,
  formatIpv4Prefix,
  formatIpv6Prefix,
  ipv6PrefixContains,
  parseIpv4,
  parseIpv6,
  prefixContains,
} from "../../wire/ip.js";
import { CniFailure } from "../cni/failure.js";
import { CniHost } from "../cni/host.js";
import { allocateAddress } from "../cni/network.js";
import type { ClusterNode, ClusterPod } from "../cluster.js";
import { type Note, noteAt } from "../load.js";
import { nodeAddresses, podAddresses } from "../own-addresses.js";
import { podIpv4, podIpv6 } from "./endpoint-slices.js";

/** The families of a cluster, its first one first. */
type Families = readonly (4 | 6)[];

/** So many pods whose address does not fit are told one by one; whole clusters are built on another network. */
const SHOWN_MISFITS = 10;

/**
 * Gives every pod on a node its addresses: those in its status, the node's own for the host network, else the next that
 * the node's CNI gives. Pods with an address of their own come first, as they were there first; then the order of the
 * list. A node that runs out is added to `errors`, at the pod that gets none. `ipam` is what the IPAM of nodes that have
 * run for a while remembers, by node and path.
 */
export function assignPodAddresses(
  pods: readonly ClusterPod[],
  nodes: readonly ClusterNode[],
  notes: Note[],
  errors: UserError[],
  families: Families,
  ipam: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map(),
): readonly ClusterPod[] {
  const byNode = new Map<string, NodeAddresses>(
    nodes.map((node) => [node.name, new NodeAddresses(node)]),
  );
  const holders = new Map<string, string>();
  const misfits: Note[] = [];
  const given = pods.map((pod) => {
    const texts = givenTexts(pod, families);
    const addresses = byNode.get(pod.node ?? "");
    if (texts.length === 0 || pod.hostNetwork || isOver(pod)) return pod;
    for (const text of texts) {
      const holder = holders.get(text);
      if (holder !== undefined) {
        const shared = `pods ${holder} and ${pod.key} have the same address ${text}`;
        notes.push(noteAt(shared, pod.loaded.origin, ["status"]));
      }
      holders.set(text, pod.key);
    }
    const kept = addresses?.keep(pod, texts) ?? { texts, misfit: undefined };
    if (kept.misfit !== undefined)
      misfits.push(noteAt(`Pod ${pod.key}: ${kept.misfit}`, pod.loaded.origin, ["status"]));
    return withAddresses(pod, kept.texts, families, kept.misfit);
  });
  notes.push(...misfits.slice(0, SHOWN_MISFITS));
  if (misfits.length > SHOWN_MISFITS) {
    notes.push({
      text: `${misfits.length - SHOWN_MISFITS} more pods have addresses that do not fit their nodes`,
    });
  }
  for (const [name, files] of ipam) byNode.get(name)?.resume(files);
  const full = new Set<string>();
  return given.map((pod) => {
    const addresses = byNode.get(pod.node ?? "");
    if (addresses === undefined || podAddresses(pod).length > 0 || isOver(pod)) return pod;
    if (pod.hostNetwork) {
      const own = nodeAddresses(addresses.node).map(formatIp);
      return withAddresses(pod, own.filter(isOf(families)), families, undefined);
    }
    const result = addresses.allocate(pod);
    if (result instanceof CniFailure) {
      if (!full.has(addresses.node.name)) errors.push(exhausted(pod, addresses.node, result));
      full.add(addresses.node.name);
      return pod;
    }
    return withAddresses(pod, result, families, undefined);
  });
}

/** What the pod's status says, of the families that the cluster has. */
function givenTexts({ loaded: { object } }: ClusterPod, families: Families): readonly string[] {
  return [podIpv4(object), podIpv6(object)].flatMap((text) =>
    text !== undefined && isOf(families)(text) ? [text] : [],
  );
}

function isOf(families: Families): (text: string) => boolean {
  return (text) => families.includes(text.includes(":") ? 6 : 4);
}

/** A pod that ran to its end holds no address. */
function isOver({ loaded }: ClusterPod): boolean {
  const phase = loaded.object.status?.phase;
  return phase === "Succeeded" || phase === "Failed";
}

/** The pod with its addresses in the order of the cluster's families, as its kubelet reports them. */
function withAddresses(
  pod: ClusterPod,
  texts: readonly string[],
  families: Families,
  unmodelled: string | undefined,
): ClusterPod {
  const ips = texts.toSorted((a, b) => rank(families, a) - rank(families, b));
  const [podIP] = ips;
  if (podIP === undefined) return pod;
  const { object, origin } = pod.loaded;
  // Addresses of a family that the cluster is not known to have stay in the object alone.
  const others = (object.status?.podIPs ?? []).filter(({ ip = "" }) => !isOf(families)(ip));
  const podIPs = [...ips.map((ip) => ({ ip })), ...others];
  const status = { ...object.status, podIP, podIPs };
  return {
    ...pod,
    address: texts.map(parseIpv4).find((address) => address !== undefined),
    address6: texts.map(parseIpv6).find((address) => address !== undefined),
    loaded: { object: { ...object, status }, origin },
    unmodelled,
  };
}

function rank(families: Families, text: string): number {
  return families.indexOf(text.includes(":") ? 6 : 4);
}

function exhausted(pod: ClusterPod, node: ClusterNode, failure: CniFailure): UserError {
  const { origin } = pod.loaded;
  const cidrs = [
    ...(node.podCidr === undefined ? [] : [formatIpv4Prefix(node.podCidr)]),
    ...(node.podCidr6 === undefined ? [] : [formatIpv6Prefix(node.podCidr6)]),
  ];
  const cidr = cidrs.length === 0 ? "none" : cidrs.join(" and ");
  const message = `Pod ${pod.key}: plugin type="bridge" failed (add): ${failure.message}`;
  const help = `node ${node.name} has pod CIDR ${cidr}; the first pod without an address is ${pod.name}`;
  return new UserError("POD_CIDR_EXHAUSTED", message, { ...origin.details([], "value"), help });
}

/** The addresses that one node has given out. */
class NodeAddresses {
  readonly node: ClusterNode;
  readonly #host: CniHost;

  constructor(node: ClusterNode) {
    this.node = node;
    this.#host = new CniHost(node.name, node.files);
  }

  /** Marks the addresses that a pod has; with them what else one CNI ADD gives, and why they do not fit the node, if so. */
  keep(
    pod: ClusterPod,
    texts: readonly string[],
  ): { readonly texts: readonly string[]; readonly misfit: string | undefined } {
    const { name } = this.node;
    const outside = texts.find((text) => !this.#holds(text));
    if (outside !== undefined) {
      const cidr = this.#cidr(outside.includes(":") ? 6 : 4) ?? "none";
      const misfit = `address ${outside} lies outside the pod CIDR ${cidr} of node ${name}; its network is not modelled`;
      return { texts, misfit };
    }
    const result = this.#ask(pod, texts);
    return result instanceof CniFailure
      ? { texts, misfit: `address ${texts.join(" and ")}: ${result.message}` }
      : { texts: result, misfit: undefined };
  }

  #holds(text: string): boolean {
    const { podCidr, podCidr6, pools } = this.node;
    const v4 = parseIpv4(text);
    const v6 = parseIpv6(text);
    return (
      (v4 !== undefined && pools.some((pool) => prefixContains(pool, v4))) ||
      (v4 !== undefined && podCidr !== undefined && prefixContains(podCidr, v4)) ||
      (v6 !== undefined && podCidr6 !== undefined && ipv6PrefixContains(podCidr6, v6))
    );
  }

  #cidr(family: 4 | 6): string | undefined {
    const { podCidr, podCidr6 } = this.node;
    return family === 4
      ? podCidr && formatIpv4Prefix(podCidr)
      : podCidr6 && formatIpv6Prefix(podCidr6);
  }

  /** Takes over what the node's IPAM remembers beside the addresses that are in use: the one it gave last. */
  resume(files: ReadonlyMap<string, string>): void {
    for (const [path, content] of files) this.#host.files.set(path, content);
  }

  allocate(pod: ClusterPod): readonly string[] | CniFailure {
    return this.#ask(pod, []);
  }

  #ask(pod: ClusterPod, addresses: readonly string[]): readonly string[] | CniFailure {
    const { conflist } = this.node;
    if (conflist === undefined) return new CniFailure("no pod CIDR assigned");
    const containerId = pod.key.replace("/", "_");
    const attachment = {
      containerId,
      netns: "",
      namespace: pod.namespace,
      pod: pod.name,
      addresses,
      portMappings: [],
    };
    try {
      const { ips } = allocateAddress(this.#host, conflist, attachment);
      return ips.length === 0
        ? new CniFailure("IPAM plugin returned missing IP config")
        : ips.map(({ address }) => address.split("/", 1)[0] ?? "");
    } catch (error) {
      if (error instanceof CniFailure) return error;
      throw error;
    }
  }
}
