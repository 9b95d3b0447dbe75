import type { Node, Pod } from "kubernetes-types/core/v1.js";
import { UserError } from "../base/errors.js";
import {
  addToIpv4,
  broadcastOf,
  formatIpv4,
  type Ipv4,
  type Ipv4Prefix,
  maskIpv4,
  networkOf,
  parseIpv4,
  parseIpv4Prefix,
  prefixContains,
} from "../wire/ip.js";
import { type LabelTest, parseCalicoSelector } from "./calico-selector.js";
import { CALICO_MTU } from "./cni/calico.js";
import { CALICO_BLOCKS } from "./cni/calico-ipam.js";
import type { Conflist } from "./cni/conflist.js";
import { podIpv4 } from "./controllers/endpoint-slices.js";
import type { LoadResult, Note } from "./load.js";
import { type IpPool, type Loaded, nameOf, namespaceOf } from "./objects.js";

/** When packets between two nodes are put into a tunnel. */
export type Encapsulation = "Never" | "CrossSubnet" | "Always";

/** Where Calico takes pods' addresses from. */
export interface CalicoPool {
  /** The IPPool's name; undefined for the one that is assumed. */
  readonly name: string | undefined;
  readonly network: Ipv4Prefix;
  /** The prefix length of a block: 20..32. */
  readonly blockLength: number;
  readonly ipip: Encapsulation;
  readonly vxlan: Encapsulation;
  readonly natOutgoing: boolean;
  /** New addresses are not given of it. */
  readonly disabled: boolean;
  /** Whether a node of these labels gets new addresses of it. */
  readonly selects: LabelTest;
}

/** Where the pods of one node get their addresses from. */
interface CalicoNode {
  /** Blocks that the node has, then those that it may claim when they are full. */
  readonly blocks: readonly Ipv4Prefix[];
  /** The address of its tunnel device; undefined where no pool asks for a tunnel. */
  readonly tunnel: Ipv4 | undefined;
}

/** Calico as far as it decides where packets go. */
export interface CalicoNetwork {
  readonly kind: "calico";
  readonly pools: readonly CalicoPool[];
  /** By node. */
  readonly nodes: ReadonlyMap<string, CalicoNode>;
  /** Whose block it is by its first address, as the objects say. */
  readonly owners: ReadonlyMap<Ipv4, string>;
  /** Nodes give addresses of their own podCIDR: the IPAM plugin is host-local. */
  readonly hostLocal: boolean;
}

/** Blocks that a node may claim after those that it has. */
const SPARE_BLOCKS = 8;

type Objects = Pick<
  LoadResult["objects"],
  "IPPool" | "BlockAffinity" | "DaemonSet" | "Pod" | "Node"
>;

export interface CalicoInputs {
  readonly conflist: Conflist | undefined;
  /** The network of all pods, where no IPPool says another. */
  readonly pods: Ipv4Prefix;
}

/**
 * Finds Calico by its CNI configuration, its IPPools or its DaemonSet. Undefined where there is none of them; what of it is
 * not modelled goes to `errors`.
 */
export function findCalico(
  objects: Objects,
  { conflist, pods }: CalicoInputs,
  notes: Note[],
  errors: UserError[],
): CalicoNetwork | undefined {
  const plugin = conflist?.plugins.find(({ type }) => type === "calico");
  if (conflist !== undefined && plugin === undefined) return undefined;
  if (plugin === undefined && objects.IPPool.length === 0 && !hasCalicoNode(objects))
    return undefined;
  const ipam = plugin?.raw["ipam"];
  const hostLocal = JSON.stringify(ipam ?? "").includes('"host-local"');
  const given = objects.IPPool.flatMap((loaded) => readPool(loaded, errors) ?? []);
  if (given.length === 0)
    notes.push({ text: "Calico without an IPPool: one of the pod network, without a tunnel" });
  const pools = given.length === 0 ? [assumedPool(pods)] : given;
  const owners = ownersOf(objects, pools);
  const taken = takenAddresses(objects.Pod);
  const chosen = new Map(
    pools.map((pool) => [
      pool,
      objects.Node.filter(({ object }) => pool.selects(labelsOf(object))).map(({ object }) =>
        nameOf(object),
      ),
    ]),
  );
  const nodes = new Map(
    objects.Node.map(({ object }) => [
      nameOf(object),
      calicoNode(
        {
          name: nameOf(object),
          tunnel: object.metadata?.annotations?.["projectcalico.org/IPv4VXLANTunnelAddr"],
        },
        { chosen, owners, taken },
      ),
    ]),
  );
  return { kind: "calico", pools, nodes, owners, hostLocal };
}

/** Labels of a node, with the one that kubelet gives it. */
function labelsOf(node: Node): Readonly<Record<string, string>> {
  return { "kubernetes.io/hostname": nameOf(node), ...node.metadata?.labels };
}

function hasCalicoNode({ DaemonSet, Pod }: Objects): boolean {
  const isAgent = (name: string): boolean => /^calico-node(-|$)/.test(name);
  return (
    DaemonSet.some(({ object }) => isAgent(nameOf(object))) ||
    Pod.some(
      ({ object }) => isAgent(nameOf(object)) && /^(kube|calico)-system$/.test(namespaceOf(object)),
    )
  );
}

/** Mirrors github.com/projectcalico/api/pkg/apis/projectcalico/v3/ippool.go:IPPoolSpec. */
function readPool({ object, origin }: Loaded<IpPool>, errors: UserError[]): CalicoPool | undefined {
  const { spec = {} } = object;
  const refuse = (field: string, message: string): undefined => {
    const details = origin.details(["spec", field], "value");
    errors.push(new UserError("CALICO_POOL", `IPPool ${nameOf(object)}: ${message}`, details));
    return undefined;
  };
  const { cidr = "", blockSize = 26, nodeSelector = "all()" } = spec;
  // Pods have no IPv6 addresses of Calico's; an IPPool of theirs changes nothing for IPv4.
  if (cidr.includes(":")) return undefined;
  const network = cidr.includes("/") ? parseIpv4Prefix(cidr) : undefined;
  if (network === undefined) return refuse("cidr", `invalid CIDR address: "${cidr}"`);
  if (blockSize < 20 || blockSize > 32 || blockSize < network.length)
    return refuse("blockSize", `a block of /${blockSize} does not fit: 20 to 32, within the pool`);
  const selects = parseCalicoSelector(nodeSelector);
  if (typeof selects !== "function")
    return refuse(
      "nodeSelector",
      `nodeSelector "${nodeSelector}" cannot be read: ${selects.message} at character ${selects.at + 1}`,
    );
  const { ipipMode = "Never", vxlanMode = "Never", natOutgoing = false, disabled = false } = spec;
  if (ipipMode !== "Never" && vxlanMode !== "Never")
    return refuse("ipipMode", "IPIP and VXLAN cannot both be enabled for one pool");
  return {
    name: nameOf(object),
    network: networkOf(network),
    blockLength: blockSize,
    ipip: ipipMode,
    vxlan: vxlanMode,
    natOutgoing,
    disabled,
    selects,
  };
}

function assumedPool(network: Ipv4Prefix): CalicoPool {
  return {
    name: undefined,
    network,
    blockLength: Math.max(26, network.length),
    ipip: "Never",
    vxlan: "Never",
    natOutgoing: true,
    disabled: false,
    selects: () => true,
  };
}

/** The pool of an address, the longest prefix first. */
export function poolOf(pools: readonly CalicoPool[], address: Ipv4): CalicoPool | undefined {
  return pools
    .filter(({ network }) => prefixContains(network, address))
    .toSorted((a, b) => b.network.length - a.network.length)[0];
}

/** The block that an address lies in. */
export function blockOf(pools: readonly CalicoPool[], address: Ipv4): Ipv4Prefix | undefined {
  const pool = poolOf(pools, address);
  return pool && { address: maskIpv4(address, pool.blockLength), length: pool.blockLength };
}

/** BlockAffinity objects; else the node of the first pod in a block. */
function ownersOf(
  { BlockAffinity, Pod }: Objects,
  pools: readonly CalicoPool[],
): ReadonlyMap<Ipv4, string> {
  const owners = new Map<Ipv4, string>();
  for (const { object } of BlockAffinity) {
    const block = parseIpv4Prefix(object.spec?.cidr ?? "");
    const node = object.spec?.node;
    if (block !== undefined && node !== undefined && object.spec?.deleted !== "true")
      owners.set(networkOf(block).address, node);
  }
  for (const { object } of Pod) {
    const block = givenBlock(object, pools);
    const node = object.spec?.nodeName;
    if (block !== undefined && node !== undefined && !owners.has(block.address))
      owners.set(block.address, node);
  }
  return owners;
}

function givenBlock(pod: Pod, pools: readonly CalicoPool[]): Ipv4Prefix | undefined {
  const address = addressOf(pod);
  return address === undefined ? undefined : blockOf(pools, address);
}

function addressOf(pod: Pod): Ipv4 | undefined {
  return pod.spec?.hostNetwork === true ? undefined : parseIpv4(podIpv4(pod) ?? "");
}

function takenAddresses(pods: readonly Loaded<Pod>[]): ReadonlySet<Ipv4> {
  return new Set(pods.flatMap(({ object }) => addressOf(object) ?? []));
}

interface BlockSearch {
  /** The names of the nodes that each pool selects. */
  readonly chosen: ReadonlyMap<CalicoPool, readonly string[]>;
  readonly owners: ReadonlyMap<Ipv4, string>;
  readonly taken: ReadonlySet<Ipv4>;
}

/**
 * Blocks in the order of the nodes: the first of the first node, then of the second. Differs: Calico draws the block by the
 * node's name.
 */
function calicoNode(
  { name, tunnel }: { readonly name: string; readonly tunnel: string | undefined },
  { chosen, owners, taken }: BlockSearch,
): CalicoNode {
  const pools = [...chosen.keys()];
  const own = [...owners].flatMap(([first, node]) =>
    node === name ? (blockOf(pools, first) ?? []) : [],
  );
  const spare = pools
    .filter((pool) => !pool.disabled && chosen.get(pool)?.includes(name) === true)
    .flatMap((pool) =>
      spareBlocks(
        pool,
        chosen.get(pool)?.indexOf(name) ?? 0,
        chosen.get(pool)?.length ?? 1,
        owners,
      ),
    );
  const blocks = [...own, ...spare];
  const tunnelled = pools.some(({ ipip, vxlan }) => ipip !== "Never" || vxlan !== "Never");
  const [first] = blocks;
  return {
    blocks,
    tunnel: tunnelled
      ? (parseIpv4(tunnel ?? "") ?? (first === undefined ? undefined : freeIn(first, taken)))
      : undefined,
  };
}

function spareBlocks(
  { network, blockLength }: CalicoPool,
  index: number,
  count: number,
  owners: ReadonlyMap<Ipv4, string>,
): readonly Ipv4Prefix[] {
  const size = 2 ** (32 - blockLength);
  const total = 2 ** (blockLength - network.length);
  const found: Ipv4Prefix[] = [];
  for (let at = index; at < total && found.length < SPARE_BLOCKS; at += count) {
    const address = addToIpv4(network.address, at * size);
    if (!owners.has(address)) found.push({ address, length: blockLength });
  }
  return found;
}

function freeIn(block: Ipv4Prefix, taken: ReadonlySet<Ipv4>): Ipv4 | undefined {
  const last = broadcastOf(block);
  for (let address = block.address; address <= last; address = addToIpv4(address, 1))
    if (!taken.has(address)) return address;
  return undefined;
}

/** The MTU of pods and of the tunnel device. */
export function calicoMtu({ pools }: CalicoNetwork): number {
  if (pools.some(({ vxlan }) => vxlan !== "Never")) return 1450;
  return pools.some(({ ipip }) => ipip !== "Never") ? 1480 : 1500;
}

/** What the node's agent and Calico's datastore have ready for the CNI plugins, by path. */
export function calicoFiles(network: CalicoNetwork, node: string): ReadonlyMap<string, string> {
  return new Map([
    [CALICO_MTU, String(calicoMtu(network))],
    [CALICO_BLOCKS, blocksFile(network, node)],
  ]);
}

/** What `CALICO_BLOCKS` holds for a node: `node worker-1`, `block 10.244.0.0/26`, `pool 10.244.0.0/16`, `reserved 10.244.0.0`. */
function blocksFile({ pools, nodes }: CalicoNetwork, node: string): string {
  const own = nodes.get(node);
  const text = ({ address, length }: Ipv4Prefix): string => `${formatIpv4(address)}/${length}`;
  return [
    `node ${node}`,
    ...(own?.blocks ?? []).map((block) => `block ${text(block)}`),
    ...pools.map(({ network }) => `pool ${text(network)}`),
    ...(own?.tunnel === undefined ? [] : [`reserved ${formatIpv4(own.tunnel)}`]),
  ].join("\n");
}
