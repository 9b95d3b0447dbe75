import type { DraftProbe } from "./draft.js";
import { type Address, type Network, serverPorts, subnet } from "./network.js";

/** Devices on top of others and links with an MTU of their own, and probes that use them. They come after everything else of a lab. */
export function addDevices(network: Network, six: boolean): readonly DraftProbe[] {
  const { choose } = network;
  const small = (): readonly Address[] => smallLink(network, six);
  const below = (): readonly Address[] => children(network);
  const over = (): readonly Address[] => [
    ...tunnel(network),
    ...(choose.chance(0.5) ? small() : []),
  ];
  // What IPv6 says by itself on a device on top of another comes by chance.
  const added = choose.make(six ? [small] : [small, below, over]);
  if (added.length === 0) return [];
  let sport = 42_000;
  return choose.times(2, 5, () => {
    sport++;
    const end = choose.one(added);
    const other = choose.one([...network.addresses, ...added].filter(({ ns }) => ns !== end.ns));
    const [from, to] = choose.chance(0.5) ? [end, other] : [other, end];
    const proto = choose.one(["tcp", "udp", "udp", "icmp"] as const);
    return {
      from: from.ns,
      to: to.address,
      proto,
      port: proto === "icmp" ? 0 : choose.one(serverPorts),
      sport: proto === "icmp" ? sport - 40_000 : sport,
      // How programs read two segments hangs on the machine.
      ...(proto !== "tcp" && choose.chance(0.6)
        ? { data: "x".repeat(choose.one([100, 600, 1252, 1400, 1472])) }
        : {}),
    };
  });
}

/** One end of a link, or both, takes smaller packets. Gives the addresses behind it. */
function smallLink(network: Network, six: boolean): readonly Address[] {
  const { choose } = network;
  const ends = choose.one(network.links).map((end) => end.split(":"));
  const mtu = choose.one(six ? [1280, 1400, 1499] : [600, 1280, 1400, 1499]);
  const first = choose.between(0, 1);
  for (const [index, [ns = "", dev = ""]] of ends.entries())
    if (index === first || choose.chance(0.7)) network.run(ns, `ip link set ${dev} mtu ${mtu}`);
  const behind = ends.flatMap(([ns = "", dev]) => network.of(ns).filter((one) => one.dev === dev));
  return behind.length > 0 ? behind : network.addresses;
}

/** One or two namespaces whose device is a macvlan of another's. */
function children(network: Network): readonly Address[] {
  const { choose } = network;
  const below = choose.one(
    network.addresses.filter(({ ns, dev }) => dev !== "lo" && network.neighbours(ns).length > 0),
  );
  const mode = choose.one(["bridge", "bridge", "private", "vepa", "passthru"]);
  // What siblings of mode bridge say to each other turns round at the device below, with no checksum yet.
  const count = mode === "passthru" || mode === "bridge" ? 1 : choose.between(1, 2);
  const gateway = network.neighbours(below.ns).find(({ via }) => via === below.dev)?.address;
  return Array.from({ length: count }, (_, index) => {
    const child = {
      ns: `mv${index}`,
      dev: "mv0",
      address: `${subnet(below.address)}.${200 + index}`,
    };
    network.space(child.ns);
    network.run(
      below.ns,
      `ip link add mv0 link ${below.dev} address 02:00:00:00:aa:0${index} netns ${child.ns} type macvlan mode ${mode}`,
    );
    network.run(child.ns, `ip addr add ${child.address}/24 dev mv0`);
    network.run(child.ns, "ip link set mv0 up");
    const via = choose.chance(0.6) ? gateway : below.address;
    if (via !== undefined) network.run(child.ns, `ip route add default via ${via}`);
    if (choose.chance(0.7)) network.listen.push({ ns: child.ns, what: "udp/53" });
    if (choose.chance(0.7)) network.listen.push({ ns: child.ns, what: "tcp/80" });
    return { ...child, length: 24 };
  });
}

/** A VXLAN between two namespaces, with a subnet of its own. */
function tunnel(network: Network): readonly Address[] {
  const { choose } = network;
  const ends = network.addresses.filter(({ dev }) => dev !== "lo");
  const left = choose.one(ends);
  const right = choose.one(ends.filter(({ ns }) => ns !== left.ns));
  const ttl = choose.one(["", "", " ttl 1", " ttl 5"]);
  const learning = choose.one(["", "", " nolearning"]);
  return [left, right].map((own, index) => {
    const other = index === 0 ? right : left;
    const mac = `02:00:00:00:bb:0${index}`;
    const by = choose.chance(0.5) ? ` dev ${own.dev}` : "";
    const local = choose.chance(0.7) ? ` local ${own.address}` : "";
    const address = `10.7.0.${index + 1}`;
    network.run(
      own.ns,
      `ip link add vx0 address ${mac} type vxlan id 42 remote ${other.address}${local}${by} dstport 4789 srcport 40000 40001${ttl}${learning}`,
    );
    network.run(own.ns, `ip addr add ${address}/24 dev vx0`);
    network.run(own.ns, "ip link set vx0 up");
    return { ns: own.ns, dev: "vx0", address, length: 24 };
  });
}
