import { jhash2, reciprocalScale, swapBytes } from "../../../base/jhash.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { type IpAddress, isIpv4Multicast, isIpv6Multicast } from "../../../wire/ip.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { hex } from "../numbers.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { not, u32, unsigned } from "../values.js";

interface Cluster {
  readonly total: number;
  readonly mask: number;
  readonly invert: boolean;
  readonly seed: number;
}

const TOTAL = option("cluster-total-nodes", unsigned(1, 32), { must: true });
const NODE = option("cluster-local-node", unsigned(1, 32), {
  not: true,
  excludes: ["cluster-local-nodemask"],
});
// The tool takes a mask no larger than the highest node.
const MASK = option("cluster-local-nodemask", unsigned(1, 32), {
  not: true,
  excludes: ["cluster-local-node"],
});
const SEED = option("cluster-hash-seed", u32, { must: true });

/** `-m cluster`: the connections that are this node's share. */
export const cluster: MatchExtension = defineMatch<Cluster>({
  name: "cluster",
  mirrors: "net/netfilter/xt_cluster.c:xt_cluster_mt()",
  fidelity: "exact",
  examples: [
    "--cluster-local-nodemask 0x00000002 --cluster-total-nodes 4 --cluster-hash-seed 0xdeadbeef",
  ],
  options: [TOTAL, NODE, MASK, SEED],
  tracks: true,
  check(args) {
    const [total, node] = [args.value(TOTAL), args.value(NODE)];
    if (total !== undefined && node !== undefined && node > total)
      throw refuse("cluster match: `--cluster-local-node' must be <= `--cluster-total-nodes'");
  },
  parse(args) {
    const node = args.get(NODE);
    const mask = args.get(MASK);
    const value = node === undefined ? (mask?.value ?? 0) : 2 ** (node.value - 1);
    return {
      total: args.need(TOTAL).value,
      mask: value,
      invert: (node ?? mask)?.invert ?? false,
      seed: args.need(SEED).value,
    };
  },
  format: ({ total, mask, invert, seed }) =>
    `${not(invert)}--cluster-local-nodemask ${hex(mask, 8)} --cluster-total-nodes ${total} --cluster-hash-seed ${hex(seed, 8)}`,
  refuses: ({ total, mask }) =>
    mask >= 2 ** total ? "Numerical argument out of domain" : undefined,
  matches(params, skb) {
    // A switch sends such packets to all nodes by a group address; they are for this one all the same.
    if (skb.packetType === "MULTICAST" && !isForGroup(skb)) skb.packetType = "HOST";
    const node = nodeOf(params, skb);
    return node !== undefined && ((params.mask >>> node) % 2 === 1) !== params.invert;
  },
  why(params, skb) {
    const node = nodeOf(params, skb);
    return node === undefined ? "packet has no connection" : `connection is node ${node + 1}'s`;
  },
});

function isForGroup({ frame: { network } }: SkBuff): boolean {
  if (network?.kind === "ipv4") return isIpv4Multicast(network.destination);
  return network?.kind === "ipv6" && isIpv6Multicast(network.destination);
}

/** The node whose share the connection is, from 0. Mirrors xt_cluster_hash(). */
function nodeOf({ total, seed }: Cluster, skb: SkBuff): number | undefined {
  const entry = skb.ct?.entry;
  if (entry === undefined) return undefined;
  const { source } = (entry.master ?? entry).original;
  return reciprocalScale(jhash2(wordsOf(source), seed), total);
}

/** What is hashed, as a little-endian machine reads it: of an IPv6 address the first word alone. Mirrors xt_cluster_hash_ipv6(). */
function wordsOf(address: IpAddress): readonly number[] {
  return [swapBytes(typeof address === "number" ? address : Number(address >> 96n))];
}
