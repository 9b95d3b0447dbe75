import {
  type Address,
  type Block,
  blockContains,
  firstOf,
  formatAddress,
  lastOf,
  parseAddress,
  parseBlock,
  sameAddress,
  step,
} from "./address.js";
import { type CniCall, mappingField, parseArgs, type PluginConfig } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import type { CniResult } from "./result.js";

/** Where calico-ipam finds what its datastore says of the node: `node` and its name, `block`, `pool` or `reserved` and an address, one a line. */
export const CALICO_BLOCKS = "(datastore)/ipam/blocks";
/** Where the addresses that are given out are noted, one file each. */
const HANDLES = "(datastore)/ipam/handles";

/** What the datastore says: blocks in the order in which the node claims them, all pools, addresses of tunnel devices. */
interface CalicoBlocks {
  readonly node: string;
  readonly blocks: readonly Block[];
  readonly pools: readonly Block[];
  readonly reserved: readonly Address[];
}

/**
 * `calico-ipam` ADD: the address that is asked for, of any pool; else the first free one of the node's blocks, in their order.
 * Mirrors libcalico-go/lib/ipam/ipam.go:AutoAssign() and AssignIP().
 */
export function calicoIpamAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const ipam = mappingField(config.raw, "ipam");
  for (const key of ["ipv4_pools", "ipv6_pools"])
    if (Array.isArray(ipam[key]) && ipam[key].length > 0)
      fail(`hopwise does not model "${key}" of calico-ipam`);
  const known = readBlocks(host);
  const asked = parseArgs(call.env["CNI_ARGS"], ["IP"]).get("IP");
  const address = asked === undefined ? firstFree(host, known) : wanted(host, known, asked);
  host.files.set(`${HANDLES}/${formatAddress(address)}`, ownerOf(config, call));
  const ips = [{ address: `${formatAddress(address)}/32` }];
  return { interfaces: [], ips, routes: [], dns: {} };
}

export function calicoIpamDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  const owner = ownerOf(config, call);
  for (const [path, content] of host.files)
    if (path.startsWith(`${HANDLES}/`) && content === owner) host.files.delete(path);
}

/** The handle of a container. Mirrors cni-plugin/internal/pkg/utils/utils.go:GetHandleID(). */
function ownerOf({ name }: PluginConfig, { env }: CniCall): string {
  return `${name}.${env["CNI_CONTAINERID"] ?? ""}`;
}

function wanted(host: CniHost, { pools }: CalicoBlocks, text: string): Address {
  const address = parseAddress(text) ?? fail(`invalid IP address: ${text}`);
  if (!pools.some((pool) => blockContains(pool, address)))
    fail(`${text} is not in any Calico IP pool`);
  if (host.files.has(`${HANDLES}/${text}`)) fail(`${text} is already assigned in block`);
  return address;
}

function firstFree(host: CniHost, { node, blocks, reserved }: CalicoBlocks): Address {
  if (blocks.length === 0) fail(`no configured Calico pools for node ${node}`);
  for (const block of blocks) {
    const last = lastOf(block);
    for (let address = firstOf(block); address.value <= last.value; address = step(address, 1n)) {
      const isTaken =
        host.files.has(`${HANDLES}/${formatAddress(address)}`) ||
        reserved.some((one) => sameAddress(one, address));
      if (!isTaken) return address;
    }
  }
  return fail(
    "failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks and strict affinity enabled",
  );
}

function readBlocks(host: CniHost): CalicoBlocks {
  const lines = (host.files.get(CALICO_BLOCKS) ?? fail("no configured Calico pools")).split("\n");
  const blocksAfter = (word: string): readonly Block[] =>
    lines.flatMap((line) =>
      line.startsWith(`${word} `) ? (parseBlock(line.slice(word.length + 1)) ?? []) : [],
    );
  const reserved = lines.flatMap((line) =>
    line.startsWith("reserved ") ? (parseAddress(line.slice("reserved ".length)) ?? []) : [],
  );
  const node = lines.find((line) => line.startsWith("node "))?.slice("node ".length) ?? "";
  return { node, blocks: blocksAfter("block"), pools: blocksAfter("pool"), reserved };
}
