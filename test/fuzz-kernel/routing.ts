import type { Choose } from "./choose.js";
import { type Network, subnet, virtual } from "./network.js";

/** Adds routes, rules, knobs, neighbours and port flags to a network that works; it may not afterwards. */
export function addRouting(network: Network): void {
  const { choose } = network;
  for (const ns of network.namespaces) {
    if (network.of(ns).length === 0) {
      for (const knob of choose.some(bridgeKnobs, 1)) network.run(ns, `sysctl -qw ${knob}`);
      continue;
    }
    // First the knobs: a next hop keeps the source address that was right when its route was added.
    if (choose.chance(0.35))
      for (const run of choose.times(1, 3, () => knob(network, ns))) network.run(ns, run);
    if (choose.chance(0.35))
      for (const run of choose.times(1, 3, () => route(network, ns))) network.run(ns, run);
    if (choose.chance(0.2)) addPolicy(network, ns);
    if (choose.chance(0.1)) network.run(ns, neighbour(network, ns));
  }
  for (const { ns, ports } of network.bridges) {
    if (!choose.chance(0.3)) continue;
    const flag = choose.one([
      "hairpin on",
      "isolated on",
      "learning off",
      "flood off",
      "mcast_flood off",
      "bcast_flood off",
    ]);
    network.run(ns, `bridge link set dev ${choose.one(ports)} ${flag}`);
  }
}

const bridgeKnobs: readonly string[] = [
  "net.bridge.bridge-nf-call-iptables=1",
  "net.bridge.bridge-nf-call-iptables=0",
];

/** A destination: a host, a subnet of the lab, one that nobody has, or everything. */
function destination(network: Network): string {
  const { choose } = network;
  const { address } = choose.one(network.addresses);
  return choose.make([
    () => address,
    () => address,
    () => `${subnet(address)}.0/24`,
    () => `${subnet(address)}.0/25`,
    () => "10.96.0.0/24",
    () => choose.one(virtual),
    () => "10.0.0.0/8",
    () => "default",
  ]);
}

/** `ip route add …`; often one that works. */
function route(network: Network, ns: string): string {
  const { choose } = network;
  const to = destination(network);
  const metric = choose.chance(0.3) ? ` metric ${choose.one([5, 50, 500])}` : "";
  if (choose.chance(0.25))
    return `ip route add ${choose.one(["blackhole", "unreachable", "prohibit", "throw"])} ${to}${metric}`;
  const verb = choose.chance(0.15) ? "replace" : choose.chance(0.1) ? "append" : "add";
  const source = choose.chance(0.2) ? ` src ${choose.one(network.of(ns)).address}` : "";
  return `ip route ${verb} ${to} ${hop(network, ns)}${source}${metric}`;
}

function hop(network: Network, ns: string): string {
  const { choose } = network;
  const friends = network.neighbours(ns);
  const devices = network.devices(ns);
  if (friends.length === 0 || choose.chance(0.15)) return `dev ${choose.one([...devices, "lo"])}`;
  const friend = choose.one(friends);
  if (choose.chance(0.15)) return `via ${friend.address} dev ${friend.via} onlink`;
  if (choose.chance(0.1)) return `via ${subnet(friend.address)}.77`;
  return choose.chance(0.3) ? `via ${friend.address} dev ${friend.via}` : `via ${friend.address}`;
}

/** A table of its own and rules that lead there. */
function addPolicy(network: Network, ns: string): void {
  const { choose } = network;
  for (const run of choose.times(1, 2, () => route(network, ns)))
    network.run(ns, `${run} table 100`);
  for (const run of choose.times(1, 2, () => `ip rule add ${rule(network, ns, choose)}`))
    network.run(ns, run);
}

function rule(network: Network, ns: string, choose: Choose): string {
  const { address } = choose.one(network.addresses);
  const selector = choose.make([
    () => `fwmark ${choose.one(["0x1", "0x2", "0x10/0x10"])}`,
    () => `from ${address}`,
    () => `from ${subnet(address)}.0/24`,
    () => `to ${address}`,
    () => `iif ${choose.one([...network.devices(ns), "lo"])}`,
    () => `not from ${address}`,
    () => `ipproto ${choose.one(["tcp", "udp", "icmp"])}`,
    () => `ipproto ${choose.one(["tcp", "udp"])} dport ${choose.one([80, 53])}`,
    () => `to ${subnet(address)}.0/24 fwmark 0x1`,
  ]);
  const action = choose.chance(0.75)
    ? "lookup 100"
    : choose.one(["prohibit", "unreachable", "blackhole"]);
  return `${selector} ${action} pref ${choose.between(100, 120)}`;
}

function knob(network: Network, ns: string): string {
  const { choose } = network;
  const scope = choose.one(["all", ...network.devices(ns), "lo"]);
  const conf = (name: string, ...values: readonly number[]): string =>
    `net.ipv4.conf.${scope}.${name}=${choose.one(values)}`;
  return `sysctl -qw ${choose.make([
    () => conf("rp_filter", 1, 2),
    () => conf("rp_filter", 1),
    () => conf("accept_local", 1),
    () => conf("route_localnet", 1),
    () => conf("arp_ignore", 1, 2, 3, 8),
    () => conf("arp_announce", 1, 2),
    () => conf("arp_filter", 1),
    () => conf("proxy_arp", 1),
    () => conf("forwarding", 0, 1),
    () => conf("src_valid_mark", 1),
    () => conf("arp_accept", 1),
    () => "net.ipv4.icmp_echo_ignore_all=1",
    () => `net.ipv4.ip_default_ttl=${choose.one([2, 32, 128])}`,
    () => `net.ipv4.ip_forward=${choose.one([0, 1])}`,
    () => "net.ipv4.fwmark_reflect=1",
    () => "net.ipv4.icmp_errors_use_inbound_ifaddr=1",
    () => "net.ipv4.ip_nonlocal_bind=1",
    () => `net.netfilter.nf_conntrack_tcp_be_liberal=1`,
    () => `net.netfilter.nf_conntrack_tcp_loose=0`,
    () => "net.netfilter.nf_conntrack_acct=1",
  ])}`;
}

function neighbour(network: Network, ns: string): string {
  const { choose } = network;
  const own = choose.one(network.of(ns));
  const mac = choose.one(["02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:77:77"]);
  return `ip neigh add ${subnet(own.address)}.${choose.one([1, 2, 77])} lladdr ${mac} dev ${own.dev} nud permanent`;
}
