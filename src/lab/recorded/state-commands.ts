import { tools } from "../../tools/index.js";
import type { LabCommand } from "../../tools/command.js";
import { formatIp, type IpAddress, formatMac, isMulticastMac, MAC_ZERO } from "../../wire/ip.js";
import type { RecordedNode } from "./cables.js";
import type { RecordedNote } from "./recorded-lab.js";
import type { RecordedFdbEntry, RecordedNeighbour, RecordedRules } from "./node-record.js";

/** States of neighbours that can be set; the others say that nobody is known there. */
const NEIGHBOUR_STATES: Readonly<Record<string, string>> = {
  permanent: "permanent",
  reachable: "reachable",
  stale: "stale",
  noarp: "noarp",
  // On their way to be confirmed or not: known, and asked for again.
  delay: "stale",
  probe: "stale",
};

/** What a node has learned and was told to do: neighbours, bridge tables, sets, rules. */
export function stateCommands(node: RecordedNode, notes: RecordedNote[]): readonly LabCommand[] {
  const { record, devices } = node;
  const ns = record.name;
  const fdb = (record.fdb ?? []).flatMap((entry) =>
    entry.remote === undefined ? [] : tunnelEntry(node, entry),
  );
  const ports = new Set(
    devices.flatMap(({ name, master }) => (master === undefined ? [] : [name])),
  );
  return [
    ...neighbourCommands(node),
    ...neighbourCommands6(node),
    ...fdb,
    ...bridgeEntries(node, ports),
    ...groupCommands(node, ports),
    ...setCommands(record, notes),
    ...record.rules.map(ruleCommand(ns)),
  ];
}

/** IPv4 neighbours whose addresses are known, of devices that are built. */
export function neighbourCommands(node: RecordedNode): readonly LabCommand[] {
  return knownNeighbours(node, node.record.neighbours);
}

function neighbourCommands6(node: RecordedNode): readonly LabCommand[] {
  return knownNeighbours(node, node.record.neighbours6);
}

function knownNeighbours(
  { record, devices }: RecordedNode,
  neighbours: readonly RecordedNeighbour<IpAddress>[] = [],
): readonly LabCommand[] {
  const built = new Set(devices.map(({ name }) => name));
  return neighbours.flatMap(({ address, dev, mac, state, router, place }) => {
    const nud = NEIGHBOUR_STATES[state];
    if (mac === undefined || nud === undefined || !built.has(dev)) return [];
    // The kernel makes those of groups and of devices without neighbours itself.
    if (state === "noarp" && (isMulticastMac(mac) || mac === MAC_ZERO)) return [];
    const words = [formatIp(address), "lladdr", formatMac(mac), "dev", dev, "nud", nud];
    const flags = router ? ["router"] : [];
    return [{ ns: record.name, argv: ["ip", "neigh", "replace", ...words, ...flags], place }];
  });
}

/** What bridges know of their ports; addresses of the node's own devices they know themselves. */
export function bridgeEntries(
  { record, devices }: RecordedNode,
  ports: ReadonlySet<string>,
): readonly LabCommand[] {
  const own = new Set(devices.map(({ mac }) => mac));
  return (record.fdb ?? [])
    .filter(
      ({ mac, dev, remote }) => remote === undefined && ports.has(dev) && !own.has(formatMac(mac)),
    )
    .map(({ mac, dev, state, place }) => ({
      ns: record.name,
      argv: [
        ...["bridge", "fdb", "replace", formatMac(mac), "dev", dev, "master"],
        state === "learned" ? "dynamic" : state,
      ],
      place,
    }));
}

/** Groups that were joined behind a bridge's ports. */
export function groupCommands(
  { record }: RecordedNode,
  ports: ReadonlySet<string>,
): readonly LabCommand[] {
  return (record.groups ?? [])
    .filter(({ dev }) => ports.has(dev))
    .map(({ bridge, dev, group, permanent, place }) => ({
      ns: record.name,
      argv: [
        ...["bridge", "mdb", "replace", "dev", bridge, "port", dev, "grp", formatIp(group)],
        permanent ? "permanent" : "temp",
      ],
      place,
    }));
}

/** Where the tunnels of a node over IPv4 lead. */
export function tunnelEntries(node: RecordedNode): readonly LabCommand[] {
  return (node.record.fdb ?? []).flatMap((entry) =>
    typeof entry.remote === "number" ? tunnelEntry(node, entry) : [],
  );
}

/** An entry of a tunnel, but for the one that the device makes of its own `remote`. */
function tunnelEntry(
  { record, devices }: RecordedNode,
  { mac, dev, remote, isRouter, state, place }: RecordedFdbEntry,
): readonly LabCommand[] {
  const tunnel = devices.find(({ name }) => name === dev);
  const to = remote === undefined ? "" : formatIp(remote);
  const settings = tunnel?.link?.settings ?? [];
  const isOwn =
    mac === MAC_ZERO &&
    ["remote", "group"].some((word) => settings[settings.indexOf(word) + 1] === to);
  if (tunnel?.kind !== "tunnel" || isOwn) return [];
  const flags = isRouter ? ["router"] : [];
  const words = [formatMac(mac), "dev", dev, "dst", to, "self", ...flags];
  return [
    {
      ns: record.name,
      argv: ["bridge", "fdb", "append", ...words, state === "permanent" ? state : "dynamic"],
      place,
    },
  ];
}

/** Sets come before the rules that ask them. */
export function setCommands(
  { name: ns, ipsets }: RecordedNode["record"],
  notes: RecordedNote[],
): readonly LabCommand[] {
  if (ipsets === undefined) return [];
  if (tools.some(({ name }) => name === "ipset"))
    return [{ ns, argv: ["ipset", "restore"], stdin: ipsets.text, stdinName: ipsets.file }];
  notes.push({
    text: `${ipsets.file}: ipsets are not modelled; a rule that asks one makes an answer UNKNOWN`,
    place: undefined,
  });
  return [];
}

/** Puts a save back with the tool that made it. */
export function ruleCommand(ns: string): (rules: RecordedRules) => LabCommand {
  return ({ file, text, family, variant }) => ({
    ns,
    argv: [
      `${family === "ipv4" ? "iptables" : "ip6tables"}${variant === "legacy" ? "-legacy" : ""}-restore`,
      "--counters",
    ],
    stdin: text,
    stdinName: file,
  });
}
