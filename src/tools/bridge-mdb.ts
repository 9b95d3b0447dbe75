import { BridgeDevice } from "../link/bridge.js";
import type { BridgePort } from "../link/bridge-port.js";
import { formatGroup, type MdbEntry, type MdbGroup } from "../link/multicast-db.js";
import {
  IPV6_ALL_NODES,
  isIpv4Multicast,
  isIpv6Multicast,
  isMulticastMac,
  parseIpv4,
  parseIpv6,
  parseMac,
} from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { abbreviates, chooseCommand, type Words } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", show],
  ["lst", show],
  ["list", show],
  ["add", (words, context) => change(words, context, "add")],
  ["replace", (words, context) => change(words, context, "replace")],
  ["delete", (words, context) => change(words, context, "delete")],
];

/** `bridge mdb`: the groups that bridges have heard of. */
export function bridgeMdb(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "bridge mdb help")(words, context);
}

function show(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  let name: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word !== "dev") throw notModelled("bridge", `bridge mdb show ${word}`);
    name = words.value();
    if (!ns.devices.has(name)) throw new ToolFailure(255, `Cannot find device "${name}"\n`);
  }
  return [...ns.devices.values()]
    .filter((dev) => dev instanceof BridgeDevice)
    .filter((bridge) => name === undefined || bridge.name === name)
    .flatMap((bridge) => linesOf(bridge, context.details))
    .map((line) => `${line}\n`)
    .join("");
}

/** Mirrors iproute2's bridge/mdb.c:print_mdb_entry() and br_print_router_ports(). */
function linesOf(bridge: BridgeDevice, details: boolean): readonly string[] {
  const { multicast, name } = bridge;
  const lines = multicast.groups.list().flatMap((entry) => [
    ...(entry.hostJoined
      ? [`dev ${name} port ${name} ${groupText(entry)} temp${vlan(entry)}`]
      : []),
    ...entry.ports.map(({ port, permanent, byUser }) => {
      const state = permanent ? "permanent" : "temp";
      const proto = details ? ` proto ${byUser ? "static" : "kernel"} ` : "";
      return `dev ${name} port ${port.dev.name} ${groupText(entry)} ${state}${proto}${vlan(entry)}`;
    }),
  ]);
  const routers = bridge.ports.filter(
    (port) =>
      multicast.routerPorts("ipv4").includes(port) || multicast.routerPorts("ipv6").includes(port),
  );
  if (!details || routers.length === 0) return lines;
  return [
    ...lines,
    `router ports on ${name}: ${routers.map(({ dev }) => `${dev.name} `).join("")}`,
  ];
}

function groupText({ group }: MdbEntry): string {
  return `grp ${formatGroup(group)}`;
}

function vlan({ group }: MdbEntry): string {
  return group.vid === 0 ? "" : ` vid ${group.vid}`;
}

interface Asked {
  readonly bridge: BridgeDevice;
  /** Undefined for the bridge's own host. */
  readonly port: BridgePort | undefined;
  readonly group: MdbGroup;
  readonly permanent: boolean;
}

/** Mirrors net/bridge/br_mdb.c:br_mdb_add() and br_mdb_del(). */
function change(words: Words, context: IpContext, verb: "add" | "replace" | "delete"): string {
  const { bridge, port, group, permanent } = readSpec(words, context);
  const { groups, times } = bridge.multicast;
  if (verb === "delete") {
    const entry = groups.find(group);
    const known = entry?.ports.find((one) => one.port === port);
    if (entry === undefined || (port === undefined ? !entry.hostJoined : known === undefined))
      throw refusal("Invalid argument");
    if (port === undefined) groups.leaveHost(entry);
    else groups.removePort(entry, port);
    return "";
  }
  if (group.mac !== undefined && !permanent)
    throw refusal("Error: bridge: Only permanent L2 entries allowed.");
  if (port === undefined) {
    if (permanent) throw refusal("Error: bridge: Flags are not allowed for host groups.");
    const entry = groups.of(group);
    if (entry.hostJoined && verb === "add")
      throw refusal("Error: bridge: Group is already joined by host.");
    entry.hostJoined = true;
    if (group.mac === undefined) entry.hostTimer.start(times.membershipInterval);
    return "";
  }
  const entry = groups.of(group);
  if (entry.ports.some((one) => one.port === port)) {
    if (verb === "add") throw refusal("Error: bridge: (*, G) group is already joined by port.");
    groups.removePort(entry, port);
  }
  const added = groups.addPort(groups.of(group), port, { permanent, byUser: true });
  if (!permanent) added.timer.start(times.membershipInterval);
  return "";
}

/** Mirrors iproute2's bridge/mdb.c:mdb_modify(). */
function readSpec(words: Words, context: IpContext): Asked {
  const told = new Map<string, string>();
  let permanent = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (["dev", "grp", "port", "vid"].includes(word)) told.set(word, words.value());
    else if (abbreviates(word, "permanent")) permanent = true;
    else if (abbreviates(word, "temp")) permanent = false;
    else throw notModelled("bridge", `bridge mdb … ${word}`);
  }
  const [dev, portName, text] = ["dev", "port", "grp"].map((key) => told.get(key));
  if (dev === undefined || portName === undefined || text === undefined)
    throw new ToolFailure(255, "Device, group address and port name are required arguments.\n");
  const ns = namespaceOf(context);
  const [device, member] = [dev, portName].map((name) => {
    const found = ns.devices.get(name);
    if (found === undefined) throw new ToolFailure(255, `Cannot find device "${name}"\n`);
    return found;
  });
  const group = readGroup(text, told.get("vid"));
  if (!(device instanceof BridgeDevice)) throw refusal("Operation not supported");
  const port = member === undefined ? undefined : device.portOf(member);
  if (port === undefined && member !== device)
    throw refusal("Error: bridge: Net device is not a bridge port.");
  return { bridge: device, port, group, permanent };
}

/** The kernel's own refusals. Mirrors net/core/rtnetlink.c:rtnl_validate_mdb_entry(). */
function readGroup(text: string, vlanText: string | undefined): MdbGroup {
  const vid = vlanText === undefined ? 0 : Number(vlanText);
  if (!Number.isInteger(vid) || vid < 0 || vid > 4094)
    throw refusal("Error: Invalid entry VLAN id.");
  const v4 = parseIpv4(text);
  const v6 = parseIpv6(text);
  const mac = parseMac(text);
  if (v4 !== undefined) {
    if (!isIpv4Multicast(v4))
      throw refusal("Error: IPv4 entry group address is not multicast or 0.0.0.0.");
    if (v4 >>> 8 === 0xe0_0000)
      throw refusal("Error: IPv4 entry group address is local multicast.");
    return { address: v4, mac: undefined, vid };
  }
  if (v6 !== undefined) {
    if (v6 === IPV6_ALL_NODES)
      throw refusal("Error: IPv6 entry group address is link-local all nodes.");
    if (!isIpv6Multicast(v6)) throw notModelled("bridge", "a group that is no multicast address");
    return { address: v6, mac: undefined, vid };
  }
  if (mac === undefined) throw new ToolFailure(255, `Invalid address "${text}"\n`);
  if (!isMulticastMac(mac)) throw refusal("Error: L2 entry group address is not multicast.");
  return { address: undefined, mac, vid };
}

function refusal(answer: string): ToolFailure {
  return new ToolFailure(255, rtnetlink(answer).message);
}
