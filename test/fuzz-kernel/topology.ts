import type { Choose } from "./choose.js";
import { Network } from "./network.js";

/** Makes one of the basic networks, in which everybody reaches everybody. */
export function makeNetwork(choose: Choose): Network {
  const network = new Network(choose);
  choose.make<void>([
    () => row(network, choose.between(1, 2)),
    () => row(network, 1),
    () => node(network),
    () => node(network),
    () => segment(network),
    () => diamond(network),
    () => direct(network),
  ]);
  addExtraAddresses(network);
  for (const ns of network.namespaces) addListeners(network, ns);
  return network;
}

/** client - r1 - … - server, one subnet a link. */
function row(network: Network, routers: number): void {
  const names = [
    "client",
    ...Array.from({ length: routers }, (_, index) => `r${index + 1}`),
    "server",
  ];
  network.space(...names);
  for (let at = 0; at + 1 < names.length; at++) {
    const [left = "", right = ""] = [names[at], names[at + 1]];
    network.link(left, "right", right, "left");
  }
  for (let at = 0; at + 1 < names.length; at++) {
    network.address(names[at] ?? "", "right", `10.0.${at + 1}.1`, 24);
    network.address(names[at + 1] ?? "", "left", `10.0.${at + 1}.2`, 24);
  }
  for (let at = 0; at < names.length; at++) {
    const ns = names[at] ?? "";
    if (at > 0 && at < names.length - 1) network.router(ns);
    if (at === 0) network.run(ns, "ip route add default via 10.0.1.2");
    else if (at === names.length - 1) network.run(ns, `ip route add default via 10.0.${at}.1`);
    else {
      for (let net = 1; net < at; net++)
        network.run(ns, `ip route add 10.0.${net}.0/24 via 10.0.${at}.1`);
      for (let net = at + 2; net < names.length; net++)
        network.run(ns, `ip route add 10.0.${net}.0/24 via 10.0.${at + 1}.2`);
      if (network.choose.chance(0.5)) network.run(ns, `ip route add default via 10.0.${at + 1}.2`);
    }
  }
}

/** A node with pods on its bridge, and perhaps a machine outside. */
function node(network: Network): void {
  const { choose } = network;
  const pods = Array.from({ length: choose.between(2, 3) }, (_, index) => `pod${index + 1}`);
  network.space("node", ...pods);
  for (const [index, pod] of pods.entries()) network.link(pod, "eth0", "node", `v${index + 1}`);
  const outside = choose.chance(0.6);
  if (outside) {
    network.space("outside");
    network.link("node", "eth0", "outside", "eth0");
  }
  network.bridge(
    "node",
    "br0",
    pods.map((_, index) => `v${index + 1}`),
  );
  network.address("node", "br0", "10.1.0.1", 24);
  network.router("node");
  if (choose.chance(0.6)) network.run("node", "sysctl -qw net.bridge.bridge-nf-call-iptables=1");
  for (const [index, pod] of pods.entries()) {
    network.address(pod, "eth0", `10.1.0.${index + 11}`, 24);
    network.run(pod, "ip route add default via 10.1.0.1");
  }
  if (!outside) return;
  network.address("node", "eth0", "192.168.0.10", 24);
  network.address("outside", "eth0", "192.168.0.1", 24);
  network.run("node", "ip route add default via 192.168.0.1");
  if (choose.chance(0.7)) network.run("outside", "ip route add 10.0.0.0/8 via 192.168.0.10");
  if (choose.chance(0.3)) network.router("outside");
}

/** A switch with hosts and a gateway, which may be on it twice; a server behind the gateway. */
function segment(network: Network): void {
  const { choose } = network;
  network.space("sw", "a", "b", "gw", "server");
  network.link("a", "eth0", "sw", "p1");
  network.link("b", "eth0", "sw", "p2");
  network.link("gw", "eth0", "sw", "p3");
  network.link("gw", "eth1", "server", "eth0");
  const twice = choose.chance(0.5);
  if (twice) network.link("gw", "eth2", "sw", "p4");
  network.bridge("sw", "br0", twice ? ["p1", "p2", "p3", "p4"] : ["p1", "p2", "p3"]);
  if (choose.chance(0.3)) network.run("sw", "sysctl -qw net.bridge.bridge-nf-call-iptables=1");
  network.address("a", "eth0", "10.2.0.11", 24);
  network.address("b", "eth0", "10.2.0.12", 24);
  network.address("gw", "eth0", "10.2.0.1", 24);
  network.address("gw", "eth1", "10.3.0.1", 24);
  if (twice) network.address("gw", "eth2", choose.one(["10.2.0.2", "10.2.5.2"]), 24);
  network.address("server", "eth0", "10.3.0.2", 24);
  network.router("gw");
  network.run("a", "ip route add default via 10.2.0.1");
  if (choose.chance(0.7)) network.run("b", "ip route add default via 10.2.0.1");
  else {
    network.run("b", "ip route add 10.3.0.0/24 dev eth0");
    network.run("gw", "sysctl -qw net.ipv4.conf.eth0.proxy_arp=1");
  }
  network.run("server", "ip route add default via 10.3.0.1");
}

/** Two ways from the client to the server. */
function diamond(network: Network): void {
  const { choose } = network;
  network.space("client", "r1", "r2", "server");
  for (const [index, router] of ["r1", "r2"].entries()) {
    network.link("client", `eth${index}`, router, "left");
    network.link(router, "right", "server", `eth${index}`);
  }
  for (const [index, router] of ["r1", "r2"].entries()) {
    network.address("client", `eth${index}`, `10.4.${index}.1`, 24);
    network.address(router, "left", `10.4.${index}.2`, 24);
    network.address(router, "right", `10.5.${index}.2`, 24);
    network.address("server", `eth${index}`, `10.5.${index}.1`, 24);
    network.router(router);
    network.run(router, `ip route add 10.4.${1 - index}.0/24 via 10.4.${index}.1`);
    network.run(router, `ip route add 10.5.${1 - index}.0/24 via 10.5.${index}.1`);
  }
  const ways = [0, 1];
  network.run("client", `ip route add 10.5.0.0/16 via 10.4.${choose.one(ways)}.2`);
  network.run("server", `ip route add 10.4.0.0/16 via 10.5.${choose.one(ways)}.2`);
  if (choose.chance(0.5))
    network.run("client", `ip route add default via 10.4.${choose.one(ways)}.2 metric 10`);
}

/** Two hosts with two links and several addresses. */
function direct(network: Network): void {
  network.space("a", "b");
  network.link("a", "eth0", "b", "eth0");
  network.link("a", "eth1", "b", "eth1");
  for (const [index, ns] of ["a", "b"].entries()) {
    network.address(ns, "eth0", `10.6.0.${index + 1}`, 24);
    network.address(ns, "eth1", `10.6.1.${index + 1}`, 24);
  }
  if (network.choose.chance(0.5)) network.router("b");
}

/** Second addresses, addresses on lo, other lengths. */
function addExtraAddresses(network: Network): void {
  const { choose } = network;
  for (const [index, ns] of network.namespaces.entries()) {
    const own = network.of(ns);
    if (own.length === 0) continue;
    const first = choose.one(own);
    const net = first.address.slice(0, first.address.lastIndexOf("."));
    if (choose.chance(0.2))
      network.address(ns, first.dev, `${net}.${100 + index}`, choose.one([24, 32, 25]));
    if (choose.chance(0.2)) {
      const address = `10.9.${index}.1`;
      network.address(ns, "lo", address, 32);
      const friend = choose.one(network.neighbours(ns));
      const gateway = own.find(({ dev }) => dev === friend.via);
      if (gateway !== undefined && choose.chance(0.8))
        network.run(friend.ns, `ip route add ${address} via ${gateway.address}`);
    }
    if (choose.chance(0.1))
      network.address(ns, first.dev, `172.16.${index}.1`, choose.one([16, 30, 31, 32]));
  }
}

function addListeners(network: Network, ns: string): void {
  const { choose } = network;
  if (network.of(ns).length === 0 || !choose.chance(0.8)) return;
  for (const what of choose.some(["tcp/80", "udp/53", "tcp/8080", "udp/443"], 4))
    network.listen.push({ ns, what });
}
