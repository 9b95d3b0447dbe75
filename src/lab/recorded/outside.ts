import { deliver } from "../../core/drop.js";
import { NF_IP_PRI_FIRST } from "../../core/hooks.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import type { Simulation } from "../../core/simulation.js";
import { inetAddrType } from "../../inet/source-address.js";
import { macFor } from "../../kube/cni/host.js";
import { isOwnAddress6 } from "../../inet/ipv6/addresses.js";
import type { LabCommand } from "../../tools/command.js";
import { runTool } from "../../tools/index.js";
import { ETH_P_IP, ETH_P_IPV6 } from "../../wire/ethernet.js";
import { isLinkTalk, NDISC_NEIGHBOUR_SOLICITATION } from "../../wire/icmpv6.js";
import {
  formatIp,
  formatIpv4,
  formatIpv6,
  getIpv6,
  type IpAddress,
  type Ipv4,
  type Ipv6,
  linkLocalOf,
  MAC_ZERO,
  parseMac,
} from "../../wire/ip.js";
import type { CableEnd } from "./cables.js";

/*
 * Beyond a cable whose other end was not recorded, one namespace stands for everybody. It answers ARP for whoever is
 * asked for and takes every packet; what it would do with it is not known, so the world ends there.
 *
 *   gw eth0 ── wire (proxy ARP for all but the nodes) ── hole
 */

/** The device that leads back into the recorded world. */
export const WIRE = "wire";

/** What stands for everything beyond some cables. */
export interface Outside {
  readonly ns: string;
  readonly ends: readonly CableEnd[];
  /** Why nothing is known of what happens beyond; undefined where hosts are simply assumed to be there. */
  readonly missing: string | undefined;
  /** Addresses that answer; undefined for all. */
  readonly answers: readonly IpAddress[] | undefined;
  /** Addresses that are known not to answer. */
  readonly silent: readonly IpAddress[];
}

/** Makes the cables of an outside, its own side of them, and its answers. Its namespace exists. */
export function outsideCommands(outside: Outside, has6: boolean): readonly LabCommand[] {
  const { ns, ends } = outside;
  const run = (...argv: readonly string[]): LabCommand => ({ ns, argv });
  const single = ends.length === 1;
  const cables = ends.flatMap(({ node, device }, index) => {
    const port = single ? WIRE : `port-${index + 1}`;
    const here: LabCommand = {
      ns: node.record.name,
      argv: [
        ...["ip", "link", "add", device.name, "address", device.mac, "type", "veth"],
        ...["peer", "name", port, "address", macFor(`${ns} ${port}`), "netns", ns],
      ],
      place: device.link?.place,
    };
    const mtu =
      device.mtu === 1500 ? [] : [run("ip", "link", "set", port, "mtu", String(device.mtu))];
    const joined = single ? [] : [run("ip", "link", "set", port, "master", WIRE)];
    const up = device.running ? [run("ip", "link", "set", port, "up")] : [];
    return [here, ...mtu, ...joined, ...up];
  });
  const bridge = single
    ? []
    : [
        run("ip", "link", "add", WIRE, "address", macFor(`${ns} ${WIRE}`), "type", "bridge"),
        run("ip", "link", "set", WIRE, "up"),
      ];
  // The only cable has no carrier: nothing comes from beyond, and no route can go over it.
  if (single && ends.some(({ device }) => !device.running)) return cables;
  return [...bridge, ...cables, ...answerCommands(outside, run), ...(has6 ? answers6(run) : [])];
}

/** ARP is answered for every address that leads elsewhere, to the hole; those of the nodes lead back. */
function answerCommands(
  { ends, answers, silent }: Outside,
  run: (...argv: readonly string[]) => LabCommand,
): readonly LabCommand[] {
  const own = ends.flatMap(({ device }) => device.addresses.map(({ address }) => address));
  return [
    run("sysctl", "-w", "net.ipv4.ip_forward=1"),
    run("sysctl", "-w", `net.ipv4.neigh.${WIRE}.proxy_delay=0`),
    ...(answers === undefined ? [run("sysctl", "-w", `net.ipv4.conf.${WIRE}.proxy_arp=1`)] : []),
    // A bridge without ports: every kernel has one, and nothing comes out of it.
    run("ip", "link", "add", "hole", "type", "bridge"),
    run("ip", "link", "set", "hole", "up"),
    run("ip", "route", "add", "default", "dev", "hole"),
    ...[...new Set([...own, ...silent.filter(isIpv4)])].map((address) =>
      run("ip", "route", "add", formatIpv4(address), "dev", WIRE),
    ),
    ...(answers ?? [])
      .filter(isIpv4)
      .map((address) => run("ip", "neigh", "add", "proxy", formatIpv4(address), "dev", WIRE)),
  ];
}

function isIpv4(address: IpAddress): address is Ipv4 {
  return typeof address === "number";
}

/** The same for IPv6; whom neighbours are asked for is seen as they are asked, by `answerAll6`. */
function answers6(run: (...argv: readonly string[]) => LabCommand): readonly LabCommand[] {
  return [
    run("sysctl", "-w", "net.ipv6.conf.all.forwarding=1"),
    run("sysctl", "-w", `net.ipv6.conf.${WIRE}.proxy_ndp=1`),
    run("sysctl", "-w", `net.ipv6.neigh.${WIRE}.proxy_delay=0`),
    run("ip", "-6", "route", "add", "default", "dev", "hole"),
  ];
}

/**
 * Gives a sender outside its address, and the way into the world by `end`: frames go to that device whatever it
 * knows of addresses, as if a router had sent them there.
 */
export function senderCommands(
  { ns }: Outside,
  { device }: CableEnd,
  source: IpAddress,
  destination: IpAddress,
): readonly LabCommand[] {
  const run = (...argv: readonly string[]): LabCommand => ({ ns, argv });
  const to = formatIp(destination);
  const length = typeof source === "number" ? 32 : 128;
  return [
    run("ip", "route", "replace", to, "dev", WIRE),
    run("ip", "addr", "add", `${formatIp(source)}/${length}`, "dev", WIRE),
    run("ip", "neigh", "replace", to, "lladdr", device.mac, "dev", WIRE, "nud", "permanent"),
  ];
}

/** The words of a delivery at the end of the world; outcomes are read from its beginning. */
const LEFT = "outside";

/** Ends the world in an outside: what is for no sender there has left. */
export function endWorld(sim: Simulation, outside: Outside): void {
  const ns = sim.namespaces.get(outside.ns);
  if (ns === undefined) return;
  takeEveryFrame(ns);
  const behind = outside.ends.map(({ node, device }) => `${node.record.name} ${device.name}`);
  ns.hooks.register("ipv4", {
    name: "end of the world",
    hook: "PREROUTING",
    priority: NF_IP_PRI_FIRST,
    run(skb) {
      const header = skb.frame.network;
      // What a segment carries from one node to another is only passing through br_netfilter.
      if (skb.bridge !== undefined) return { kind: "accept" };
      if (header?.kind !== "ipv4" || inetAddrType(ns, header.destination) === "LOCAL")
        return { kind: "accept" };
      deliver(skb, `${LEFT}: ${formatIpv4(header.destination)} behind ${behind.join(" and ")}`);
      return { kind: "stolen", by: "end of the world" };
    },
  });
  ns.hooks.register("ipv6", {
    name: "end of the world",
    hook: "PREROUTING",
    priority: NF_IP_PRI_FIRST,
    run(skb) {
      const { network: header, transport } = skb.frame;
      if (skb.bridge !== undefined || header?.kind !== "ipv6") return { kind: "accept" };
      if (transport?.kind === "icmpv6" && isLinkTalk(transport.type)) {
        if (transport.type === NDISC_NEIGHBOUR_SOLICITATION)
          answer6(sim, outside, getIpv6(skb.frame.payload, 0));
        return { kind: "accept" };
      }
      if (isOwnAddress6(ns, header.destination)) return { kind: "accept" };
      deliver(skb, `${LEFT}: ${formatIpv6(header.destination)} behind ${behind.join(" and ")}`);
      return { kind: "stolen", by: "end of the world" };
    },
  });
}

/** Whoever is asked for is there, but for the nodes themselves and those that are known not to be. */
function answer6(sim: Simulation, { ns, ends, answers, silent }: Outside, target: Ipv6): void {
  if (silent.includes(target) || answers?.includes(target) === false) return;
  const isNode = ends.some(({ node: { devices } }) =>
    devices.some(({ addresses6, mac }) => {
      const linkLocal = linkLocalOf(parseMac(mac) ?? MAC_ZERO);
      return target === linkLocal || addresses6.some(({ address }) => address === target);
    }),
  );
  if (isNode) return;
  const argv = ["ip", "-6", "neigh", "replace", "proxy", formatIpv6(target), "dev", WIRE];
  runTool(sim, { ns, argv });
}

/** Whatever MAC address a frame is for, its host is here. */
function takeEveryFrame(ns: NetworkNamespace): void {
  for (const type of [ETH_P_IP, ETH_P_IPV6]) {
    const receive = ns.protocols.get(type);
    if (receive === undefined) continue;
    ns.protocols.set(type, (skb) => {
      if (skb.packetType === "OTHERHOST") skb.packetType = "HOST";
      receive(skb);
    });
  }
}
