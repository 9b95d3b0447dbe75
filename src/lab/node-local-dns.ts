import type { Simulation } from "../core/simulation.js";
import type { Cluster, ClusterPod } from "../kube/cluster.js";
import { nameOf, namespaceOf } from "../kube/objects.js";
import { parseIpv4 } from "../wire/ip.js";
import { runLabCommand } from "./build.js";

/** A NodeLocal DNSCache pod and what its program was told. */
export interface NodeLocalDns {
  readonly pod: ClusterPod;
  readonly node: string;
  /** The addresses that it takes on its node: the link-local one, with iptables also the DNS Service's. */
  readonly addresses: readonly string[];
  readonly corefile: { readonly text: string; readonly file: string };
}

const CONFIG_MAP = "node-local-dns";

/** The pods of the DaemonSet node-local-dns. What stands behind __PILLAR__ is filled in as its program does. */
export function nodeLocalDnsPods(cluster: Cluster): readonly NodeLocalDns[] {
  const map = cluster.configMaps.find(
    ({ object }) => namespaceOf(object) === "kube-system" && nameOf(object) === CONFIG_MAP,
  );
  const text = map?.object.data?.["Corefile"];
  if (text === undefined) return [];
  const upstream = cluster.services.find(({ object }) => nameOf(object) === "kube-dns-upstream");
  const filled = text
    .replaceAll("__PILLAR__CLUSTER__DNS__", upstream?.object.spec?.clusterIP ?? "")
    .replaceAll("__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf");
  return cluster.pods.flatMap((pod) => {
    const { node, namespace, hostNetwork, loaded } = pod;
    const labels = loaded.object.metadata?.labels ?? {};
    if (namespace !== "kube-system" || labels["k8s-app"] !== CONFIG_MAP) return [];
    if (node === undefined || !hostNetwork) return [];
    const args = (loaded.object.spec?.containers ?? []).flatMap(
      ({ args: given = [], command = [] }) => [...command, ...given],
    );
    const at = args.findIndex((arg) => /^--?localip$/.test(arg));
    const inline = args.find((arg) => /^--?localip=/.test(arg))?.replace(/^[^=]*=/, "");
    const listed = (inline ?? (at < 0 ? "" : (args[at + 1] ?? ""))).split(",");
    const addresses = listed.filter((address) => parseIpv4(address) !== undefined);
    const corefile = { text: filled, file: `kube-system/${CONFIG_MAP}/Corefile` };
    return [{ pod, node, addresses, corefile }];
  });
}

/**
 * What the program does to its node before it serves: the addresses on a dummy device, and rules that take its packets past
 * connection tracking, hence past kube-proxy. Mirrors kubernetes/dns cmd/node-cache/app/cache_app.go.
 */
export function setUpNodeLocalDns(sim: Simulation, { node, addresses }: NodeLocalDns): void {
  const run = (...argv: readonly string[]): void => runLabCommand(sim, { ns: node, argv });
  run("ip", "link", "add", "nodelocaldns", "type", "dummy");
  for (const address of addresses) run("ip", "addr", "add", `${address}/32`, "dev", "nodelocaldns");
  run("ip", "link", "set", "nodelocaldns", "up");
  runLabCommand(sim, {
    ns: node,
    argv: ["iptables-restore", "--noflush"],
    stdin: rulesFor(addresses),
    stdinName: `${node}/node-local-dns.rules`,
  });
}

function rulesFor(addresses: readonly string[]): string {
  const skip = '-m comment --comment "NodeLocal DNS Cache: skip conntrack" -j NOTRACK';
  const allow = '-m comment --comment "NodeLocal DNS Cache: allow DNS traffic" -j ACCEPT';
  const each = (line: (address: string, protocol: string) => string): readonly string[] =>
    addresses.flatMap((address) => ["udp", "tcp"].map((protocol) => line(address, protocol)));
  return [
    "*raw",
    ...each((ip, p) => `-A PREROUTING -d ${ip}/32 -p ${p} -m ${p} --dport 53 ${skip}`),
    ...each((ip, p) => `-A OUTPUT -s ${ip}/32 -p ${p} -m ${p} --sport 53 ${skip}`),
    ...each((ip, p) => `-A OUTPUT -d ${ip}/32 -p ${p} -m ${p} --dport 53 ${skip}`),
    "COMMIT",
    "*filter",
    ...each((ip, p) => `-I INPUT -d ${ip}/32 -p ${p} -m ${p} --dport 53 ${allow}`),
    ...each((ip, p) => `-I OUTPUT -s ${ip}/32 -p ${p} -m ${p} --sport 53 ${allow}`),
    "COMMIT",
    "",
  ].join("\n");
}
