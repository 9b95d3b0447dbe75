import { UserError } from "../../base/errors.js";
import { formatIpv4, formatIpv4Prefix, parseIpv4, prefixContains } from "../../wire/ip.js";
import { CniFailure } from "../cni/failure.js";
import { CniHost } from "../cni/host.js";
import { allocateAddress } from "../cni/network.js";
import type { ClusterNode, ClusterPod } from "../cluster.js";
import { type Note, noteAt } from "../load.js";
import { podIpv4 } from "./endpoint-slices.js";

/** So many pods whose address does not fit are told one by one; whole clusters are built on another network. */
const SHOWN_MISFITS = 10;

/**
 * Gives every pod on a node its address: the one in its status, the node's own for the host network, else the next that
 * the node's CNI gives. Pods with an address of their own come first, as they were there first; then the order of the
 * list. A node that runs out is added to `errors`, at the pod that gets none. `ipam` is what the IPAM of nodes that have
 * run for a while remembers, by node and path.
 */
export function assignPodAddresses(
  pods: readonly ClusterPod[],
  nodes: readonly ClusterNode[],
  notes: Note[],
  errors: UserError[],
  ipam: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map(),
): readonly ClusterPod[] {
  const byNode = new Map<string, NodeAddresses>(
    nodes.map((node) => [node.name, new NodeAddresses(node)]),
  );
  const holders = new Map<string, string>();
  const misfits: Note[] = [];
  const given = pods.map((pod) => {
    const text = podIpv4(pod.loaded.object);
    const addresses = byNode.get(pod.node ?? "");
    if (text === undefined || pod.hostNetwork || isOver(pod)) return pod;
    const holder = holders.get(text);
    if (holder !== undefined) {
      const shared = `pods ${holder} and ${pod.key} have the same address ${text}`;
      notes.push(noteAt(shared, pod.loaded.origin, ["status"]));
    }
    holders.set(text, pod.key);
    const misfit = addresses?.keep(pod, text);
    if (misfit !== undefined)
      misfits.push(noteAt(`Pod ${pod.key}: ${misfit}`, pod.loaded.origin, ["status"]));
    return withAddress(pod, text, misfit);
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
    if (addresses === undefined || pod.address !== undefined || isOver(pod)) return pod;
    if (pod.hostNetwork) return withAddress(pod, formatIpv4(addresses.node.address), undefined);
    const result = addresses.allocate(pod);
    if (result instanceof CniFailure) {
      if (!full.has(addresses.node.name)) errors.push(exhausted(pod, addresses.node, result));
      full.add(addresses.node.name);
      return pod;
    }
    return withAddress(pod, result, undefined);
  });
}

/** A pod that ran to its end holds no address. */
function isOver({ loaded }: ClusterPod): boolean {
  const phase = loaded.object.status?.phase;
  return phase === "Succeeded" || phase === "Failed";
}

function withAddress(pod: ClusterPod, text: string, unmodelled: string | undefined): ClusterPod {
  const { object, origin } = pod.loaded;
  const status = { ...object.status, podIP: text, podIPs: object.status?.podIPs ?? [{ ip: text }] };
  return {
    ...pod,
    address: parseIpv4(text),
    loaded: { object: { ...object, status }, origin },
    unmodelled,
  };
}

function exhausted(pod: ClusterPod, node: ClusterNode, failure: CniFailure): UserError {
  const { origin } = pod.loaded;
  const cidr = node.podCidr === undefined ? "none" : formatIpv4Prefix(node.podCidr);
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

  /** Marks an address that a pod has; why it does not fit the node, if it does not. */
  keep(pod: ClusterPod, text: string): string | undefined {
    const { podCidr, name } = this.node;
    const address = parseIpv4(text);
    const inPool =
      address !== undefined && this.node.pools.some((pool) => prefixContains(pool, address));
    if (
      !inPool &&
      (podCidr === undefined || address === undefined || !prefixContains(podCidr, address))
    ) {
      const cidr = podCidr === undefined ? "none" : formatIpv4Prefix(podCidr);
      return `address ${text} lies outside the pod CIDR ${cidr} of node ${name}; its network is not modelled`;
    }
    const result = this.#ask(pod, text);
    return result instanceof CniFailure ? `address ${text}: ${result.message}` : undefined;
  }

  /** Takes over what the node's IPAM remembers beside the addresses that are in use: the one it gave last. */
  resume(files: ReadonlyMap<string, string>): void {
    for (const [path, content] of files) this.#host.files.set(path, content);
  }

  allocate(pod: ClusterPod): string | CniFailure {
    return this.#ask(pod, undefined);
  }

  #ask(pod: ClusterPod, address: string | undefined): string | CniFailure {
    const { conflist } = this.node;
    if (conflist === undefined) return new CniFailure("no pod CIDR assigned");
    const containerId = pod.key.replace("/", "_");
    const attachment = {
      containerId,
      netns: "",
      namespace: pod.namespace,
      pod: pod.name,
      address,
      portMappings: [],
    };
    try {
      const [ip] = allocateAddress(this.#host, conflist, attachment).ips;
      return (
        ip?.address.split("/", 1)[0] ?? new CniFailure("IPAM plugin returned missing IP config")
      );
    } catch (error) {
      if (error instanceof CniFailure) return error;
      throw error;
    }
  }
}
