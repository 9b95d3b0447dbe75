import type { Place } from "../../base/errors.js";
import type { LabCommand } from "../../tools/command.js";
import {
  type IpAddress,
  IPV6_ANY,
  IPV6_LOOPBACK,
  type Ipv6,
  isIpv6LinkLocal,
  parseIpv4,
  parseIpv6,
} from "../../wire/ip.js";
import type { Lab } from "../lab.js";
import { addressCommands, routeCommands } from "./address-commands.js";
import { addressCommands6, generationCommands, routeCommands6 } from "./address6-commands.js";
import { childCommand, findParents } from "./children.js";
import { type CableEnd, type Cables, findCables, type RecordedNode } from "./cables.js";
import { addressesOf, type Device, devicesOf } from "./devices.js";
import type { GivenAddress, NodeRecord, RecordedNeighbour } from "./node-record.js";
import { prefix6Of, prefixOf, type RecordedGap } from "./recorded-gaps.js";
import { type Outside, outsideCommands } from "./outside.js";
import { stateCommands } from "./state-commands.js";
import { sysctlCommands } from "./sysctl-commands.js";

/** Something to know about what was built: assumed, or passed over. */
export interface RecordedNote {
  readonly text: string;
  readonly place: Place | undefined;
}

/** Recorded namespaces as a lab, with the ends of the world. */
export interface RecordedLab {
  readonly lab: Lab;
  readonly nodes: readonly RecordedNode[];
  readonly outsides: readonly Outside[];
  readonly notes: readonly RecordedNote[];
  /** Routes that are not modelled. */
  readonly gaps: readonly RecordedGap[];
}

/** Builds what dumps tell, as commands that a real Linux takes too. */
export function recordedLab(
  name: string,
  records: readonly NodeRecord[],
  given: readonly GivenAddress[],
): RecordedLab {
  const found = records.map((record) => ({ record, devices: devicesOf(record, given) }));
  const { nodes, children } = findParents(found);
  const cables = findCables(nodes);
  const outsides = cables.segments.map((ends) => outsideOf(ends, records));
  const notes: RecordedNote[] = nodes.flatMap(assumptionsOf);
  for (const { ns, missing } of outsides)
    if (missing !== undefined) notes.push({ text: `${ns}: ${missing}`, place: undefined });
  const has6 = nodes.some(({ devices }) => devices.some(({ addresses6 }) => addresses6.length > 0));
  const commands = [
    ...(has6
      ? quiet6Commands([...records.map((one) => one.name), ...outsides.map(({ ns }) => ns)])
      : []),
    ...nodes.flatMap(bridgeAndDummyCommands),
    ...cables.pairs.flatMap(pairCommands),
    ...outsides.flatMap((outside) => outsideCommands(outside, has6)),
    ...nodes.flatMap(tunnelCommands),
    ...children.map(childCommand),
    ...nodes.flatMap((node) => [
      ...generationCommands(node),
      ...linkStateCommands(node),
      ...addressCommands(node),
      ...addressCommands6(node),
      ...sysctlCommands(node, notes),
      ...routeCommands(node),
      ...(has6 ? routeCommands6(node) : []),
      ...stateCommands(node, notes),
    ]),
    ...nodes.flatMap(portStateCommands),
  ];
  return {
    lab: {
      name,
      about: `recorded: ${records.map((record) => record.name).join(", ")}`,
      namespaces: [...records.map((record) => record.name), ...outsides.map(({ ns }) => ns)],
      commands,
      listeners: socketListeners(records),
      probes: [],
    },
    nodes,
    outsides,
    notes,
    gaps: [...records.flatMap(routeGaps), ...records.flatMap(vlanGaps)],
  };
}

/** The programs that recorded sockets tell of. */
export function socketListeners(records: readonly NodeRecord[]): Lab["listeners"] {
  const found = new Map<string, Lab["listeners"][number]>();
  for (const { name: ns, sockets, links, hasAddresses6 } of records) {
    // The kernel's own sockets of tunnels are listed too.
    const tunnels = (links ?? []).map(({ settings = [] }) => dstPortOf(settings));
    for (const { protocol, address, port } of sockets ?? []) {
      if (protocol === "udp" && tunnels.includes(port)) continue;
      // Without IPv6 addresses nobody comes to them.
      if (typeof address === "bigint" && (!hasAddresses6 || isElsewhere(address, links))) continue;
      const key = `${ns} ${protocol} ${address} ${port}`;
      if (!found.has(key)) found.set(key, { ns, protocol, port, address });
    }
  }
  return [...found.values()];
}

/** Whether no device has the address: a failed one, or one that came after the devices were listed. */
function isElsewhere(address: Ipv6, links: NodeRecord["links"] = []): boolean {
  if (address === IPV6_ANY || address === IPV6_LOOPBACK) return false;
  return (
    isIpv6LinkLocal(address) ||
    !links.some(({ addresses6 }) => addresses6.some((one) => one.address === address))
  );
}

/** Routes of either family that say what is not modelled. */
function routeGaps({ name, routes = [], routes6 = [] }: NodeRecord): readonly RecordedGap[] {
  return [...routes, ...routes6].flatMap((route): readonly RecordedGap[] => {
    const { unmodelled, destination, words, place } = route;
    const to = routes6.includes(route) ? prefix6Of(destination) : prefixOf(destination);
    if (unmodelled === undefined || to === undefined) return [];
    const what = `${name} recorded the route "${words.join(" ")}" (${place.file}:${place.line}), and "${unmodelled}" of routes is not modelled`;
    return [{ kind: "route", node: name, to, what }];
  });
}

/** Bridges that keep VLANs apart. */
function vlanGaps({ name: node, links = [] }: NodeRecord): readonly RecordedGap[] {
  return links
    .filter(({ filtersVlans }) => filtersVlans)
    .map(({ name: dev }) => ({
      kind: "device",
      node,
      dev,
      what: `bridge ${dev} of ${node} keeps VLANs apart, and which of its ports are in which is not read from dumps`,
    }));
}

function dstPortOf(settings: readonly string[]): number {
  return Number(settings[settings.indexOf("dstport") + 1]);
}

function outsideOf(ends: readonly CableEnd[], records: readonly NodeRecord[]): Outside {
  const [first] = ends;
  const device = first?.device;
  const node = records.length === 1 ? "" : `${first?.node.record.name.replaceAll("/", ".") ?? ""}-`;
  const taken = new Set(records.map(({ name }) => name));
  let ns = `outside-${node}${device?.name ?? ""}`;
  while (taken.has(ns)) ns += "_";
  return {
    ns,
    ends,
    missing:
      device?.kind === "unmodelled"
        ? `a device of kind ${device.recordedKind ?? "?"} (${device.name}) is not modelled: what goes through it is not known`
        : undefined,
    answers: answersOf(ends),
    silent: ends.flatMap(({ node: { record }, device: { name: dev } }) =>
      neighboursOf(record).flatMap((one) =>
        one.dev === dev && one.state === "failed" ? [one.address] : [],
      ),
    ),
  };
}

/**
 * Behind one of several open ports of a bridge only those answer that the node has seen there: by its neighbours'
 * MAC addresses and its bridge's table.
 */
function answersOf(ends: readonly CableEnd[]): readonly IpAddress[] | undefined {
  const [end] = ends;
  if (end === undefined || end.device.master === undefined) return undefined;
  const { record, devices } = end.node;
  const open = devices.filter(
    ({ master, kind }) => master === end.device.master && kind === "cable",
  );
  if (open.length === 1) return undefined;
  const macs = new Set(
    (record.fdb ?? []).flatMap(({ dev, mac }) => (dev === end.device.name ? [mac] : [])),
  );
  return neighboursOf(record).flatMap(({ address, dev, mac }) =>
    dev === end.device.master && mac !== undefined && macs.has(mac) ? [address] : [],
  );
}

/** Of both families. */
function neighboursOf({
  neighbours = [],
  neighbours6 = [],
}: NodeRecord): readonly RecordedNeighbour<IpAddress>[] {
  return [...neighbours, ...neighbours6];
}

function assumptionsOf({ record, devices }: RecordedNode): readonly RecordedNote[] {
  const assumed = devices.filter(({ assumedFrom }) => assumedFrom !== undefined);
  const notes = assumed
    .filter(({ assumedFrom }) => assumedFrom !== "--addr")
    .map(
      ({ name, assumedFrom }) =>
        `${record.name}: device ${name} is assumed from ${assumedFrom ?? ""}; nothing tells its address (--addr ${name}=ADDRESS/LENGTH)`,
    );
  if (record.routes === undefined)
    notes.push(`${record.name}: no routes recorded; networks of its addresses are assumed`);
  else if (record.routes6 === undefined && devices.some(hasFarAddress6))
    notes.push(`${record.name}: no IPv6 routes recorded; networks of its addresses are assumed`);
  if (record.sysctls === undefined)
    notes.push(`${record.name}: no sysctls recorded; forwarding is assumed to be on`);
  return notes.map((text) => ({ text, place: undefined }));
}

/** An IPv6 address beyond the link and the host itself. */
function hasFarAddress6({ kind, addresses6 }: Device): boolean {
  return kind !== "loopback" && addresses6.some(({ address }) => !isIpv6LinkLocal(address));
}

function bridgeAndDummyCommands({ record, devices }: RecordedNode): readonly LabCommand[] {
  const silent = devices
    .filter(({ kind }) => kind === "silent")
    .flatMap(({ name, mac, link }) => [
      { ns: record.name, argv: ["ip", "tuntap", "add", "dev", name, ...(link?.settings ?? [])] },
      ...(link?.mac === undefined
        ? []
        : [{ ns: record.name, argv: ["ip", "link", "set", name, "address", mac] }]),
    ]);
  const others = devices
    .filter(({ kind }) => kind === "bridge" || kind === "dummy")
    .map(({ name, kind, mac, link }) => ({
      ns: record.name,
      argv: [
        ...["ip", "link", "add", name, "address", mac, "type", kind],
        ...(kind === "bridge" ? (link?.settings ?? []) : []),
      ],
      place: link?.place,
    }));
  return [...silent, ...others];
}

/** Tunnels come after the devices that they lie on. */
function tunnelCommands({ record, devices }: RecordedNode): readonly LabCommand[] {
  return devices
    .filter(({ kind }) => kind === "tunnel")
    .map(({ name, mac, recordedKind = "", link }) => ({
      ns: record.name,
      argv: [
        ...["ip", "link", "add", name, "address", mac, "type", recordedKind],
        ...(link?.settings ?? []),
      ],
      place: link?.place,
    }));
}

function pairCommands([one, other]: Cables["pairs"][number]): readonly LabCommand[] {
  return [
    {
      ns: one.node.record.name,
      argv: [
        ...[
          "ip",
          "link",
          "add",
          one.device.name,
          "address",
          one.device.mac,
          "type",
          "veth",
          "peer",
        ],
        ...["name", other.device.name, "address", other.device.mac],
        ...(one.node === other.node ? [] : ["netns", other.node.record.name]),
      ],
      place: one.device.link?.place,
    },
  ];
}

function linkStateCommands({ record, devices }: RecordedNode): readonly LabCommand[] {
  const run = (place: Place | undefined, ...argv: readonly string[]): LabCommand => ({
    ns: record.name,
    argv,
    place,
  });
  return devices.flatMap(({ name, kind, mtu, master, up, ports, link }) => [
    ...(kind === "loopback" || mtu === 1500
      ? []
      : [run(link?.place, "ip", "link", "set", name, "mtu", String(mtu))]),
    ...(master === undefined
      ? []
      : [run(link?.place, "ip", "link", "set", name, "master", master)]),
    ...(link?.arp === false ? [run(link.place, "ip", "link", "set", name, "arp", "off")] : []),
    ...(up === (kind === "loopback")
      ? []
      : [run(link?.place, "ip", "link", "set", name, up ? "up" : "down")]),
    ...[...ports]
      .filter(([word]) => word !== "state")
      .map(([word, value]) => run(link?.place, "bridge", "link", "set", "dev", name, word, value)),
  ]);
}

/** What the spanning tree decided: bridges are built without it, and ports keep the state that was recorded. For links that are up. */
function portStateCommands({ record, devices }: RecordedNode): readonly LabCommand[] {
  return devices.flatMap(({ name, ports, link }) => {
    const state = ports.get("state");
    if (state === undefined) return [];
    const argv = ["bridge", "link", "set", "dev", name, "state", state];
    return [{ ns: record.name, argv, place: link?.place }];
  });
}

/** Addresses are nobody else's, and no router is asked for: neither is known of a recorded world. */
function quiet6Commands(namespaces: readonly string[]): readonly LabCommand[] {
  return namespaces.flatMap((ns) =>
    ["accept_dad=0", "router_solicitations=0"].flatMap((setting) =>
      ["all", "default"].map((dev) => ({
        ns,
        argv: ["sysctl", "-w", `net.ipv6.conf.${dev}.${setting}`],
      })),
    ),
  );
}

/** The address of a node that a name or an address means. */
export function nodeAt(nodes: readonly RecordedNode[], text: string): RecordedNode | undefined {
  const address = parseIpv4(text) ?? parseIpv6(text);
  return nodes.find(({ record, devices }) =>
    address === undefined
      ? record.name === text
      : devices.some(
          (device) =>
            device.kind !== "loopback" &&
            addressesOf(device).some((one) => one.address === address),
        ),
  );
}

/** The first address of a node that others can reach it by. */
export function addressOf({ devices }: RecordedNode): IpAddress | undefined {
  return devices
    .filter(({ kind }) => kind !== "loopback")
    .flatMap(addressesOf)
    .map(({ address }) => address)[0];
}
