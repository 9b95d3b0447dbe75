import type { Node } from "kubernetes-types/core/v1.js";
import { UserError } from "../../base/errors.js";
import {
  addToIpv4,
  broadcastOf,
  formatIpv4Prefix,
  type Ipv4Prefix,
  networkOf,
  parseIpv4Prefix,
  prefixContains,
  prefixesOverlap,
} from "../../wire/ip.js";
import type { FieldPath } from "../load/source-text.js";
import { type Loaded, nameOf } from "../objects.js";

/** `--node-cidr-mask-size` for IPv4. */
export const NODE_MASK_LENGTH = 24;

/**
 * The blocks of one cluster CIDR that nodes get. A freed block is used again only after all later ones. Mirrors
 * pkg/controller/nodeipam/ipam/cidrset/cidr_set.go.
 */
export class CidrSet {
  readonly #cluster: Ipv4Prefix;
  readonly #length: number;
  readonly #used = new Set<number>();
  #next = 0;

  /** Blocks of prefix length `length`, longer than the cluster's or equal to it. */
  constructor(cluster: Ipv4Prefix, length: number) {
    this.#cluster = networkOf(cluster);
    this.#length = length;
  }

  /** How many blocks there are. */
  get size(): number {
    return 2 ** Math.max(0, this.#length - this.#cluster.length);
  }

  /** Marks every block that overlaps `prefix` as used. */
  occupy(prefix: Ipv4Prefix): void {
    for (const index of this.#indexes(prefix)) this.#used.add(index);
  }

  release(prefix: Ipv4Prefix): void {
    for (const index of this.#indexes(prefix)) this.#used.delete(index);
  }

  /** The next free block; undefined when none is left. */
  allocate(): Ipv4Prefix | undefined {
    for (let tried = 0; tried < this.size; tried++) {
      const index = (this.#next + tried) % this.size;
      if (this.#used.has(index)) continue;
      this.#used.add(index);
      this.#next = (index + 1) % this.size;
      return {
        address: addToIpv4(this.#cluster.address, index * this.#blockSize),
        length: this.#length,
      };
    }
    return undefined;
  }

  get #blockSize(): number {
    return 2 ** (32 - this.#length);
  }

  *#indexes(prefix: Ipv4Prefix): Generator<number> {
    if (!prefixesOverlap(prefix, this.#cluster)) return;
    const inside = prefixContains(this.#cluster, prefix.address)
      ? networkOf(prefix)
      : this.#cluster;
    const narrow = inside.length < this.#cluster.length ? this.#cluster : inside;
    const first = Math.floor((narrow.address - this.#cluster.address) / this.#blockSize);
    const last = Math.floor((broadcastOf(narrow) - this.#cluster.address) / this.#blockSize);
    for (let index = first; index <= last; index++) yield index;
  }
}

/**
 * The pod CIDR of every node by name: as given, else the next free block of the cluster CIDR, in the order the nodes
 * were made. Blocks that overlap each other or are not networks are added to `errors`. Mirrors
 * pkg/controller/nodeipam/ipam/range_allocator.go.
 */
export function assignPodCidrs(
  nodes: readonly Loaded<Node>[],
  cluster: Ipv4Prefix,
  service: Ipv4Prefix,
  errors: UserError[],
): ReadonlyMap<string, Ipv4Prefix> {
  const given = givenPodCidrs(nodes, errors);
  reportOverlaps(given, errors);
  const set = new CidrSet(cluster, Math.max(NODE_MASK_LENGTH, cluster.length));
  set.occupy(service);
  for (const { prefix } of given) set.occupy(prefix);
  const assigned = new Map(given.map(({ loaded, prefix }) => [nameOf(loaded.object), prefix]));
  for (const loaded of nodes.toSorted(byCreation)) {
    const name = nameOf(loaded.object);
    if (assigned.has(name) || podCidrOf(loaded.object) !== undefined) continue;
    const block = set.allocate();
    if (block !== undefined) {
      assigned.set(name, block);
      continue;
    }
    const message = `Node ${name}: CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range`;
    const help = `${formatIpv4Prefix(cluster)} has room for ${set.size} nodes of /${NODE_MASK_LENGTH}`;
    errors.push(
      new UserError("NODE_CIDR_EXHAUSTED", message, {
        ...loaded.origin.details([], "value"),
        help,
      }),
    );
  }
  return assigned;
}

interface GivenCidr {
  readonly loaded: Loaded<Node>;
  readonly prefix: Ipv4Prefix;
  readonly path: FieldPath;
}

/** The first IPv4 pod CIDR of a node, and where it stands. */
function podCidrOf(node: Node): { readonly text: string; readonly path: FieldPath } | undefined {
  const { podCIDR, podCIDRs = [] } = node.spec ?? {};
  const index = podCIDRs.findIndex((text) => !text.includes(":"));
  const text = podCIDRs[index];
  if (text !== undefined) return { text, path: ["spec", "podCIDRs", index] };
  return podCIDR === undefined || podCIDR === "" || podCIDR.includes(":")
    ? undefined
    : { text: podCIDR, path: ["spec", "podCIDR"] };
}

function givenPodCidrs(nodes: readonly Loaded<Node>[], errors: UserError[]): readonly GivenCidr[] {
  const given: GivenCidr[] = [];
  for (const loaded of nodes) {
    const cidr = podCidrOf(loaded.object);
    if (cidr === undefined) continue;
    const prefix = cidr.text.includes("/") ? parseIpv4Prefix(cidr.text) : undefined;
    if (prefix !== undefined && networkOf(prefix).address === prefix.address) {
      given.push({ loaded, prefix, path: cidr.path });
      continue;
    }
    const name = nameOf(loaded.object);
    const message =
      prefix === undefined
        ? `Node ${name}: invalid CIDR address: ${cidr.text}`
        : `Node ${name}: pod CIDR ${cidr.text} has host bits set; the network address is ${formatIpv4Prefix(networkOf(prefix))}`;
    errors.push(new UserError("NODE_BAD_CIDR", message, loaded.origin.details(cidr.path, "value")));
  }
  return given;
}

/** Neighbours in address order are enough: blocks either nest or are apart. */
function reportOverlaps(given: readonly GivenCidr[], errors: UserError[]): void {
  const order = new Map(given.map((cidr, index) => [cidr, index]));
  const sorted = given.toSorted(
    (a, b) => a.prefix.address - b.prefix.address || a.prefix.length - b.prefix.length,
  );
  let widest: GivenCidr | undefined;
  for (const cidr of sorted) {
    if (widest !== undefined && prefixesOverlap(widest.prefix, cidr.prefix)) {
      const [first, second] =
        (order.get(widest) ?? 0) < (order.get(cidr) ?? 0) ? [widest, cidr] : [cidr, widest];
      errors.push(overlapError(first, second));
    } else widest = cidr;
  }
}

function overlapError(first: GivenCidr, second: GivenCidr): UserError {
  const { file, line } = first.loaded.origin.placeOf(first.path);
  const message = `Node ${nameOf(second.loaded.object)}: pod CIDR ${formatIpv4Prefix(second.prefix)} overlaps ${formatIpv4Prefix(first.prefix)} of node ${nameOf(first.loaded.object)}`;
  const help = `the other one is at ${file}:${line}; every node needs a pod CIDR of its own`;
  return new UserError("NODE_CIDR_OVERLAP", message, {
    ...second.loaded.origin.details(second.path, "value"),
    help,
  });
}

/** The order in which the real allocator saw the nodes: creation time, then name; nodes without a time keep the text's order. */
function byCreation(a: Loaded<Node>, b: Loaded<Node>): number {
  const timeA = String(a.object.metadata?.creationTimestamp ?? "");
  const timeB = String(b.object.metadata?.creationTimestamp ?? "");
  if (timeA === "" || timeB === "" || timeA === timeB) return 0;
  return timeA < timeB ? -1 : 1;
}
