import { UserError } from "../base/errors.js";
import type { Simulation } from "../core/simulation.js";
import type { Cluster } from "../kube/cluster.js";
import { parseResolvConf, usableNameservers } from "../kube/dns/resolv-conf.js";
import {
  NO_RESOLVERS,
  parseResolvers,
  parseZoneFile,
  type ResolverTable,
} from "../kube/dns/resolver-file.js";
import { serveDns } from "../kube/dns/server.js";
import { type ResolverData, WorldResolver } from "../kube/dns/world-resolver.js";
import { podRoutes, UNDERLAY } from "../kube/nodes.js";
import { nodeAt, podAddresses } from "../kube/own-addresses.js";
import { formatIp, type IpAddress, parseIpv4, parseIpv6 } from "../wire/ip.js";
import { enableIpv6, runLabCommand } from "./build.js";
import type { ClusterWorld, WorldFile } from "./world.js";

/** What a node's own resolv.conf names when the world does not have it. */
export const NODE_RESOLVER = "192.0.2.53";

/** The resolvers of a world's files: those that `resolvers` lists, and zone files at the nodes' own resolver. */
export function readResolvers(files: readonly WorldFile[]): ResolverTable {
  let { nodeResolvConf } = NO_RESOLVERS;
  const resolvers = new Map<string, ResolverData>();
  for (const { file, text } of files.filter(({ kind }) => kind === "resolvers")) {
    const table = parseResolvers(file, text);
    for (const [address, data] of table.resolvers) {
      if (resolvers.has(address))
        throw new UserError("RESOLVERS_TWICE", `the resolver ${address} stands in two files`, {
          place: { file, line: 1, column: 1 },
        });
      resolvers.set(address, data);
    }
    nodeResolvConf = table.nodeResolvConf ?? nodeResolvConf;
  }
  const zones = files
    .filter(({ kind }) => kind === "zone")
    .map(({ file, text }) => parseZoneFile(file, text));
  if (zones.length > 0) {
    const [own = NODE_RESOLVER] = parseResolvConf(nodeResolvConf ?? "").nameservers;
    const data = resolvers.get(own) ?? { zones: [], records: [], faults: [], otherwise: undefined };
    resolvers.set(own, { ...data, zones: [...data.zones, ...zones] });
  }
  return { resolvers, nodeResolvConf };
}

/** The nodes' /etc/resolv.conf. */
export function nodeResolvConf({ resolvers }: ClusterWorld): string {
  return resolvers.nodeResolvConf ?? `nameserver ${NODE_RESOLVER}\n`;
}

/** Whether the world tells what the nodes' own resolvers answer. */
export function knowsNodeResolver(world: ClusterWorld): boolean {
  const conf = parseResolvConf(nodeResolvConf(world));
  return usableNameservers(conf).every(
    (address) => world.resolvers.resolvers.has(address) || address.startsWith("127."),
  );
}

/** Starts the world's resolvers: each a host of its own behind the router, or a node or pod that has the address. */
export function startResolvers(sim: Simulation, world: ClusterWorld, unknown: string[]): void {
  const { cluster, resolvers } = world;
  if (resolvers.resolvers.size === 0) return;
  let count = 0;
  for (const [text, data] of resolvers.resolvers) {
    const address = parseIpv4(text) ?? parseIpv6(text);
    if (address === undefined) continue;
    const ns = insideNamespace(cluster, address) ?? `resolver-${count++}`;
    if (!sim.namespaces.has(ns)) addHost(sim, ns, address);
    const namespace = sim.namespaces.get(ns);
    if (namespace === undefined) continue;
    const listening = serveDns(namespace, new WorldResolver(text, data, sim.queue), {
      address,
      onUnknown: (reason) => unknown.push(reason),
    });
    if (typeof listening === "string")
      throw new UserError("DNS_LISTEN", `${text} cannot listen on port 53 in ${ns}: ${listening}`);
  }
  if (count > 0) addWayBack(sim, cluster);
}

function insideNamespace(cluster: Cluster, address: IpAddress): string | undefined {
  const node = nodeAt(cluster, address);
  const pod = cluster.pods.find((one) => podAddresses(one).includes(address));
  return node?.name ?? (pod?.hostNetwork === true ? pod.node : pod?.key);
}

/** A host with one address, a leg of the router to itself: it shares its prefix with nobody. */
function addHost(sim: Simulation, ns: string, address: IpAddress): void {
  const six = typeof address === "bigint";
  const own = formatIp(address);
  const router = six ? "fe80::53" : "169.254.53.53";
  const alone = six ? 128 : 32;
  const run = (where: string, ...argv: readonly string[]): void =>
    runLabCommand(sim, { ns: where, argv: ["ip", ...argv] });
  sim.createNamespace(ns);
  if (six) enableIpv6(sim, ns);
  run(ns, "link", "set", "lo", "up");
  run(ns, ...["link", "add", "eth0", "type", "veth"], ...["peer", "name", ns, "netns", UNDERLAY]);
  // Nobody else is on this link: no address is doubted.
  const known = (where: string, dev: string): void =>
    runLabCommand(sim, {
      ns: where,
      argv: ["sysctl", "-w", `net.ipv6.conf.${dev}.accept_dad=0`],
    });
  if (six)
    for (const [where, dev] of [
      [ns, "eth0"],
      [UNDERLAY, ns],
    ] as const)
      known(where, dev);
  run(UNDERLAY, "link", "set", ns, "up");
  run(ns, "link", "set", "eth0", "up");
  run(UNDERLAY, "addr", "add", six ? `${router}/64` : `${router}/32`, "dev", ns);
  run(UNDERLAY, "route", "add", `${own}/${alone}`, "dev", ns);
  run(ns, "addr", "add", `${own}/${alone}`, "dev", "eth0");
  if (!six) run(ns, "route", "add", `${router}/32`, "dev", "eth0");
  run(
    ns,
    ...(six ? ["-6"] : []),
    "route",
    "add",
    "default",
    "via",
    router,
    "dev",
    "eth0",
    "src",
    own,
  );
}

/** Replies to pods find back: the router knows each node's pods, as a cluster without masquerading needs it. */
function addWayBack(sim: Simulation, cluster: Cluster): void {
  for (const node of cluster.nodes) {
    if (!sim.namespaces.has(node.name)) continue;
    for (const { to, via } of podRoutes(node))
      runLabCommand(sim, { ns: UNDERLAY, argv: ["ip", "route", "replace", to, "via", via] });
  }
}
