import type { Cluster } from "../../kube/cluster.js";
import { UNDERLAY } from "../../kube/nodes.js";
import type { LabCommand } from "../../tools/command.js";
import {
  formatIpv4,
  type Ipv4,
  type Ipv4Prefix,
  maskIpv4,
  parseIpv4,
  parseIpv4Prefix,
  prefixContains,
} from "../../wire/ip.js";
import { addressCommands, routeCommands } from "./address-commands.js";
import type { RecordedNode } from "./cables.js";
import { type Device, devicesOf } from "./devices.js";
import type { NodeRecord, RecordedRoute } from "./node-record.js";
import { prefixOf, type RecordedGap } from "./recorded-gaps.js";
import { uplinkOf } from "./rendered-names.js";
import {
  bridgeEntries,
  groupCommands,
  neighbourCommands,
  tunnelEntries,
} from "./state-commands.js";

/** Rendered commands with one node's recorded parts in them, and what of these could not be built. */
export interface BuiltNode {
  readonly commands: readonly LabCommand[];
  readonly gaps: readonly RecordedGap[];
  /** The recorded devices that are there. */
  readonly devices: readonly Device[];
}

/** Devices of programs that hopwise runs itself. */
const OWN_PROGRAMS: ReadonlySet<string> = new Set(["nodelocaldns"]);

/**
 * Makes a node of its rendered commands and its dump: addresses, routes, policy rules and neighbours are as recorded where
 * they were recorded, and devices that objects do not tell are made as far as they can be. `rendered` has the recorded names
 * of devices already.
 */
export function withRecordedNode(
  record: NodeRecord,
  cluster: Cluster,
  rendered: readonly LabCommand[],
): BuiltNode {
  const { name: ns, links, hasAddresses, routes, policyRules, neighbours } = record;
  const there = devicesMadeIn(ns, rendered);
  const all = links === undefined ? [] : devicesOf({ ...record, rules: [] }, []);
  const extra = all.filter(
    ({ name, kind, link }) =>
      kind !== "loopback" &&
      !there.has(name) &&
      !OWN_PROGRAMS.has(name) &&
      // A veth leads to a pod that is not built, or that nobody knows.
      link?.kind !== "veth",
  );
  const built = new Set([...there, ...extra.map(({ name }) => name), "lo"]);
  const problem = (route: RecordedRoute): string | undefined => routeProblem(route, built, routes);
  const devices = all.filter(({ name }) => built.has(name));
  const known = { ...record, routes: routes?.filter((route) => problem(route) === undefined) };
  const addressed = { record: known, devices: hasAddresses ? devices : [] };
  // Devices without recorded addresses have the rendered ones, and the kernel's routes with them.
  const ports = portsIn(ns, rendered);
  const whole = { record: known, devices: withRendered(ns, rendered, addressed.devices) };
  return {
    commands: [
      ...withRecordedAddresses(addressed, rendered, record),
      ...extra.flatMap((device) => deviceCommands(ns, device)),
      ...addressCommands({
        ...addressed,
        devices: addressed.devices.filter(hasNoPlace(ns, rendered)),
      }),
      ...(routes === undefined && policyRules === undefined ? [] : routeCommands(whole)),
      ...(neighbours === undefined ? [] : neighbourCommands(whole)),
      ...tunnelEntries({ record: known, devices }),
      ...bridgeEntries({ record: known, devices: all }, ports),
      ...groupCommands({ record: known, devices: all }, ports),
      ...gatewayCommands(known.routes ?? [], cluster, record),
    ],
    gaps: [
      ...extra.flatMap((device) => deviceGaps(ns, device)),
      ...(routes ?? []).flatMap((route) => routeGaps(ns, route, problem(route))),
    ],
    devices,
  };
}

/** The names of devices that rendered commands make in a namespace. */
function devicesMadeIn(ns: string, commands: readonly LabCommand[]): ReadonlySet<string> {
  const made = new Set<string>();
  for (const { ns: where, argv } of commands) {
    if (argv[0] !== "ip" || argv[1] !== "link" || argv[2] !== "add") continue;
    const peer = argv.indexOf("name");
    const there = argv.indexOf("netns");
    if (where === ns) made.add(argv[3] ?? "");
    if (peer >= 0 && (there < 0 ? where : argv[there + 1]) === ns) made.add(argv[peer + 1] ?? "");
  }
  return made;
}

/** The devices that rendered commands make ports of a bridge. */
function portsIn(ns: string, commands: readonly LabCommand[]): ReadonlySet<string> {
  return new Set(
    commands.flatMap(({ ns: where, argv }) =>
      where === ns && argv[1] === "link" && argv[2] === "set" && argv.includes("master")
        ? [argv[3] ?? ""]
        : [],
    ),
  );
}

/** The devices that a route goes over, in all of its next hops. */
function devicesIn({ words }: RecordedRoute): readonly string[] {
  return words.filter((_, index) => words[index - 1] === "dev");
}

/** The device whose IPv4 address a command adds in a namespace. */
function addressedBy(ns: string, { ns: where, argv }: LabCommand): string | undefined {
  const adds = where === ns && argv[0] === "ip" && argv[1] === "addr" && argv[2] === "add";
  return adds && !(argv[3] ?? "").includes(":") ? argv[argv.indexOf("dev") + 1] : undefined;
}

function hasNoPlace(ns: string, rendered: readonly LabCommand[]): (device: Device) => boolean {
  const placed = new Set(rendered.map((command) => addressedBy(ns, command)));
  return ({ name }) => !placed.has(name);
}

/** Rendered commands without those that a recorded part stands for; a device gets its recorded addresses where it got its own. */
function withRecordedAddresses(
  { record: known, devices }: RecordedNode,
  rendered: readonly LabCommand[],
  record: NodeRecord,
): readonly LabCommand[] {
  const byName = new Map(devices.map((device) => [device.name, device]));
  const done = new Set<string>();
  return rendered.flatMap((command) => {
    const dev = addressedBy(record.name, command);
    const device = dev === undefined ? undefined : byName.get(dev);
    if (device === undefined) return isReplaced(command, record) ? [] : [command];
    if (done.has(device.name)) return [];
    done.add(device.name);
    return addressCommands({ record: known, devices: [device] });
  });
}

/** IPv6 was not recorded: its rendered commands stay. */
function isReplaced({ ns, argv }: LabCommand, record: NodeRecord): boolean {
  if (ns !== record.name || argv.some((word) => word.includes("::") || word === "-6")) return false;
  if (argv[0] === "bridge")
    return argv[1] === "fdb" && argv.includes("dst") && record.fdb !== undefined;
  if (argv[0] !== "ip") return false;
  return (
    (argv[1] === "route" && record.routes !== undefined) ||
    (argv[1] === "neigh" && record.neighbours !== undefined)
  );
}

/** A device that only the dump has. One that leads nobody knows where is there all the same, and swallows what it gets. */
function deviceCommands(ns: string, device: Device): readonly LabCommand[] {
  const { name, mac, kind, up, mtu, recordedKind = "", link } = device;
  const lower = kind === "child" && link?.lower !== undefined ? ["link", link.lower] : [];
  const run = (...argv: readonly string[]): LabCommand => ({ ns, argv, place: link?.place });
  const type =
    kind === "bridge"
      ? ["bridge", ...(link?.settings ?? [])]
      : kind === "tunnel" || lower.length > 0
        ? [recordedKind, ...(link?.settings ?? [])]
        : ["dummy"];
  return [
    run("ip", "link", "add", name, ...lower, "address", mac, "type", ...type),
    ...(mtu === 1500 ? [] : [run("ip", "link", "set", name, "mtu", String(mtu))]),
    ...(up ? [run("ip", "link", "set", name, "up")] : []),
  ];
}

/** Every device of the node, with its recorded addresses or those that rendered commands give it. */
function withRendered(
  ns: string,
  commands: readonly LabCommand[],
  recorded: readonly Device[],
): readonly Device[] {
  const found = new Map<string, Device["addresses"]>();
  for (const command of commands) {
    const dev = addressedBy(ns, command);
    const prefix = parseIpv4Prefix(command.argv[3] ?? "");
    if (dev === undefined || prefix === undefined) continue;
    const rest = { peer: undefined, broadcast: undefined, scope: "global", noPrefixRoute: false };
    found.set(dev, [...(found.get(dev) ?? []), { ...prefix, ...rest }]);
  }
  const known = new Set(recorded.map(({ name }) => name));
  const others = [...devicesMadeIn(ns, commands)].filter((name) => !known.has(name));
  return [
    ...recorded,
    ...others.map((name) => ({ ...plain, name, addresses: found.get(name) ?? [] })),
  ];
}

const plain: Device = {
  name: "",
  kind: "cable",
  recordedKind: undefined,
  up: true,
  running: true,
  mtu: 1500,
  mac: "00:00:00:00:00:00",
  master: undefined,
  ports: new Map(),
  addresses: [],
  addresses6: [],
  link: undefined,
  assumedFrom: undefined,
};

function deviceGaps(
  node: string,
  { name: dev, kind, recordedKind = "?", link }: Device,
): readonly RecordedGap[] {
  const isBuilt = kind === "child" && link?.lower !== undefined;
  if (isBuilt || (kind !== "cable" && kind !== "unmodelled" && kind !== "child")) return [];
  const what =
    kind !== "cable"
      ? `device ${dev} of ${node} is recorded as a ${recordedKind}, which is not built beside objects`
      : `nobody knows where device ${dev} of ${node} leads: its dump has it, and objects do not`;
  return [{ kind: "device", node, dev, what }];
}

/** Why a recorded route cannot be built; undefined where it can. */
function routeProblem(
  route: RecordedRoute,
  built: ReadonlySet<string>,
  routes: readonly RecordedRoute[] = [],
): string | undefined {
  const missing = devicesIn(route).find((dev) => !built.has(dev));
  if (missing !== undefined) return `its device ${missing} is not built`;
  const { words } = route;
  const gateways = words.flatMap((_, index) =>
    words[index - 1] === "via" ? (parseIpv4(words[index] ?? "") ?? []) : [],
  );
  const isNear = (gateway: Ipv4): boolean =>
    routes.some((other) => {
      const to = other.words.includes("via") ? undefined : prefixOf(other.destination);
      return other.type === "unicast" && to !== undefined && prefixContains(to, gateway);
    });
  const far = words.includes("onlink") ? undefined : gateways.find((one) => !isNear(one));
  return far === undefined
    ? undefined
    : `no recorded route leads to its gateway ${formatIpv4(far)}`;
}

function routeGaps(
  node: string,
  { destination, words, place: { file, line } }: RecordedRoute,
  problem: string | undefined,
): readonly RecordedGap[] {
  const to = prefixOf(destination);
  if (to === undefined || problem === undefined) return [];
  const what = `${node} recorded the route "${words.join(" ")}" (${file}:${line}), and ${problem}`;
  return [{ kind: "route", node, to, what }];
}

/** The prefix length of a segment of the underlay. */
const SEGMENT_LENGTH = 24;

/** The router of the node's segment has every gateway's address on it that a recorded route names and no node has. */
function gatewayCommands(
  routes: readonly RecordedRoute[],
  { nodes }: Cluster,
  { name, links }: NodeRecord,
): readonly LabCommand[] {
  const node = nodes.find((one) => one.name === name);
  if (node === undefined) return [];
  const networkOf = ({ address }: { readonly address: Ipv4 }): Ipv4Prefix => ({
    address: maskIpv4(address, SEGMENT_LENGTH),
    length: SEGMENT_LENGTH,
  });
  const segment = networkOf(node);
  const uplink = uplinkOf(links ?? [], node.address)?.name ?? "eth0";
  const own = new Set(nodes.map(({ address }) => address));
  const wanted = routes.flatMap(({ words, dev }) => {
    const via = words.includes("via")
      ? parseIpv4(words[words.indexOf("via") + 1] ?? "")
      : undefined;
    return via !== undefined && dev === uplink && prefixContains(segment, via) && !own.has(via)
      ? [formatIpv4(via)]
      : [];
  });
  const bridges = [...new Set(nodes.map((one) => networkOf(one).address))];
  const dev = `segment-${bridges.indexOf(segment.address)}`;
  return [...new Set(wanted)].map((via) => ({
    ns: UNDERLAY,
    argv: ["ip", "addr", "replace", `${via}/${SEGMENT_LENGTH}`, "brd", "+", "dev", dev],
  }));
}
