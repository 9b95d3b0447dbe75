import { later, type Micros } from "../sim/time.js";
import { formatIp, type IpAddress, IPV6_ALL_NODES } from "../wire/ip.js";
import type { BridgePort } from "./bridge-port.js";
import type { KernelTimer } from "./kernel-timer.js";
import type { BridgeMulticast, GroupFamily } from "./multicast.js";
import type { MdbEntry, MdbGroup } from "./multicast-db.js";
import { queryPort } from "./multicast-query.js";
import type { Frame } from "../wire/frame.js";

/** What snooping makes of a frame to a group. Mirrors the multicast part of struct br_input_skb_cb. */
export interface Snooped {
  /** The frame is of IGMP or MLD itself: no entry counts. */
  readonly control: boolean;
  /** Without an entry only routers get it. */
  readonly routersOnly: boolean;
}

/** Where a frame was heard: a port, or undefined for the bridge's own host; and in which VLAN. */
export interface Heard {
  readonly port: BridgePort | undefined;
  readonly vid: number;
  /** Tells of a group that is wanted anew. */
  readonly learned: (group: string) => void;
}

/** 224.0.0.0/24, whose groups never leave their link and are never snooped. */
export function isLocalGroup(address: IpAddress): boolean {
  return typeof address === "number" ? address >>> 8 === 0xe0_0000 : address === IPV6_ALL_NODES;
}

/** Somebody wants a group. Mirrors br_multicast_add_group(). */
export function joinGroup(multicast: BridgeMulticast, address: IpAddress, heard: Heard): void {
  const { port, vid, learned } = heard;
  if (isLocalGroup(address)) return;
  const { groups, times } = multicast;
  if (port !== undefined && port.state === "disabled") return;
  const entry = groups.of({ address, mac: undefined, vid });
  if (port === undefined) {
    if (!entry.hostJoined) learned(formatIp(address));
    entry.hostJoined = true;
    entry.hostTimer.start(times.membershipInterval);
    return;
  }
  let known = entry.ports.find((one) => one.port === port);
  if (known === undefined) {
    learned(formatIp(address));
    known = groups.addPort(entry, port, {});
  }
  known.timer.start(times.membershipInterval);
}

/** Somebody wants a group no more: others behind the port are waited for. Mirrors br_multicast_leave_group(). */
export function leaveGroup(
  multicast: BridgeMulticast,
  address: IpAddress,
  { port, vid }: Heard,
): void {
  const { groups, times } = multicast;
  const family = familyOf(address);
  const entry = groups.find({ address, mac: undefined, vid });
  if (entry === undefined) return;
  if (port?.flags.fastleave === true) {
    const known = entry.ports.find((one) => one.port === port);
    if (known !== undefined && !known.permanent) groups.removePort(entry, port);
    return;
  }
  if (multicast.otherQuerierExists(family)) return;
  const time = (times.lastMemberCount * times.lastMemberInterval) as Micros;
  if (multicast.querier && port !== undefined) {
    queryPort(multicast, family, port, address);
    port.multicast.own[family].timer.start(time);
  }
  shortenOne(port === undefined ? hostTimer(entry) : portTimer(entry, port), time);
}

/** Somebody asks for one group: who does not answer is out of it. Mirrors br_ip4_multicast_query(). */
export function shortenGroup(
  multicast: BridgeMulticast,
  address: IpAddress,
  { vid }: Heard,
  maxDelay: Micros,
): void {
  const entry = multicast.groups.find({ address, mac: undefined, vid });
  if (entry === undefined) return;
  const time = (maxDelay * multicast.times.lastMemberCount) as Micros;
  shortenOne(hostTimer(entry), time);
  for (const { timer, permanent } of entry.ports) if (!permanent) shortenOne(timer, time);
}

/** Who gets a frame to a group. */
export interface Receivers {
  readonly ports: readonly BridgePort[];
  /** The bridge's own host too. */
  readonly host: boolean;
  readonly why: string;
}

/** Undefined when every port gets it: nobody asks for groups, or the frame is for all. Mirrors the choice in br_handle_frame_finish(). */
export function receiversOf(
  multicast: BridgeMulticast,
  frame: Frame,
  snooped: Snooped,
  vid: number,
): Receivers | undefined {
  const { network, link } = frame;
  const isIp = network?.kind === "ipv4" || network?.kind === "ipv6";
  if (isIp ? !multicast.querierExists(network.kind) : multicast.groups.isEmpty) return undefined;
  const group: MdbGroup = isIp
    ? { address: network.destination, mac: undefined, vid }
    : { address: undefined, mac: link.destination, vid };
  const entry = snooped.control ? undefined : multicast.groups.find(group);
  if (entry === undefined && !(isIp && snooped.routersOnly)) return undefined;
  const members = entry?.ports.map(({ port }) => port) ?? [];
  const routers = isIp ? multicast.routerPorts(network.kind) : [];
  const host =
    entry?.hostJoined === true ||
    multicast.bridge.allMulticast ||
    (isIp && multicast.hostIsRouter(network.kind));
  const ports = multicast.bridge.ports.filter(
    (port) => members.includes(port) || routers.includes(port),
  );
  return { ports, host, why: reason(members, routers, frame, snooped) };
}

function reason(
  members: readonly BridgePort[],
  routers: readonly BridgePort[],
  { network }: Frame,
  { control }: Snooped,
): string {
  const names = (ports: readonly BridgePort[]): string =>
    ports.map(({ dev }) => dev.name).join(" ");
  const isIp = network?.kind === "ipv4" || network?.kind === "ipv6";
  const group = isIp ? formatIp(network.destination) : "the group";
  const wanted = control
    ? "a report, for routers alone"
    : members.length === 0
      ? `nobody behind a port is in ${group}`
      : `${group} is wanted behind ${names(members)}`;
  return routers.length === 0 ? wanted : `${wanted}; a router is behind ${names(routers)}`;
}

function familyOf(address: IpAddress): GroupFamily {
  return typeof address === "number" ? "ipv4" : "ipv6";
}

function hostTimer({ hostJoined, hostTimer: timer }: MdbEntry): KernelTimer | undefined {
  return hostJoined ? timer : undefined;
}

function portTimer({ ports }: MdbEntry, port: BridgePort): KernelTimer | undefined {
  const known = ports.find((one) => one.port === port);
  return known?.permanent === true ? undefined : known?.timer;
}

function shortenOne(timer: KernelTimer | undefined, time: Micros): void {
  if (timer !== undefined && (!timer.pending || later(timer.remaining, 0 as Micros) > time))
    timer.start(time);
}
