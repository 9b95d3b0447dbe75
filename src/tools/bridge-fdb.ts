import type { NetDevice } from "../core/device.js";
import { BridgeDevice } from "../link/bridge.js";
import { type FdbEntry, formatFdbEntry } from "../link/fdb.js";
import { Vxlan } from "../link/vxlan.js";
import { formatVxlanFdbEntry, type VxlanFdbEntry, type VxlanRemote } from "../link/vxlan-fdb.js";
import {
  type IpAddress,
  isMulticastMac,
  type Mac,
  MAC_ZERO,
  parseIpv6,
  parseMac,
} from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf, readAddress } from "./ip-context.js";
import { abbreviates, chooseCommand, parseNumber, type Words, wrongArgument } from "./words.js";

type Command = (words: Words, context: IpContext) => string;
type Verb = "add" | "append" | "replace" | "delete";

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", show],
  ["lst", show],
  ["list", show],
  ["add", (words, context) => change(words, context, "add")],
  ["append", (words, context) => change(words, context, "append")],
  ["replace", (words, context) => change(words, context, "replace")],
  ["delete", (words, context) => change(words, context, "delete")],
];

/** `bridge fdb`. */
export function bridgeFdb(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "bridge fdb help")(words, context);
}

interface Asked {
  readonly mac: Mac;
  readonly dev: NetDevice;
  readonly kind: "local" | "static" | "dynamic";
  /** Of the bridge that the device is a port of, or that it is. */
  readonly self: boolean;
  /** 0 for all of a bridge that does not filter. */
  readonly vid: number;
  /** What is behind a tunnel: `dst`, `port`, `vni`, `via`. */
  readonly tunnel: TunnelWords;
}

interface TunnelWords {
  readonly dst?: IpAddress;
  readonly port?: number;
  readonly vni?: number;
  readonly via?: NetDevice;
  readonly isRouter: boolean;
}

/** Mirrors net/bridge/br_fdb.c:br_fdb_add() and br_fdb_delete(). */
function change(words: Words, context: IpContext, verb: Verb): string {
  const asked = readSpec(words, context);
  const { mac, dev, kind, self, tunnel } = asked;
  if (self && dev instanceof Vxlan) return changeTunnel(dev, asked, verb);
  if (tunnel.dst !== undefined && self)
    throw notModelled("bridge", `bridge fdb … dst of a ${dev.kind}`);
  const bridge = self ? dev : dev.master;
  if (!(bridge instanceof BridgeDevice)) {
    if (self) throw notModelled("bridge", `an address filter of a ${dev.kind} (fdb … self)`);
    throw refusal("Operation not supported");
  }
  const port = self ? undefined : bridge.portOf(dev);
  const { vid } = asked;
  const known = bridge.fdb.lookup(mac, vid);
  if (verb === "delete") {
    if (known === undefined || known.port !== port) throw refusal("No such file or directory");
    bridge.fdb.remove(mac, vid);
    return "";
  }
  if (mac === MAC_ZERO || isMulticastMac(mac)) throw refusal("Invalid argument");
  if (known !== undefined && verb === "add") throw refusal("File exists");
  if (self && kind !== "local") throw refusal("Invalid argument");
  bridge.fdb.set({
    mac,
    vid,
    port,
    local: kind === "local",
    static: kind !== "dynamic",
    byUser: true,
  });
  return "";
}

/** Mirrors drivers/net/vxlan/vxlan_core.c:vxlan_fdb_add() and vxlan_fdb_delete(). */
function changeTunnel(dev: Vxlan, { mac, kind, tunnel }: Asked, verb: Verb): string {
  const known = dev.fdb.get(mac);
  const { port, vni } = dev.settings;
  const sameAs = (remote: VxlanRemote): boolean =>
    remote.address === tunnel.dst &&
    remote.port === (tunnel.port ?? port) &&
    remote.vni === (tunnel.vni ?? vni);
  if (verb === "delete") {
    if (known === undefined) throw refusal("No such file or directory");
    if (tunnel.dst === undefined) dev.fdb.remove(mac);
    else removeRemote(dev, known, sameAs);
    return "";
  }
  if (tunnel.dst === undefined) throw refusal("Invalid argument");
  if (known !== undefined && verb === "add") throw refusal("File exists");
  const forGroup = mac === MAC_ZERO || isMulticastMac(mac);
  if (known === undefined && dev.fdb.isFull) throw refusal("No space left on device");
  if (known !== undefined && verb === "replace" && forGroup)
    throw refusal("Operation not supported");
  const state = kind === "local" ? "permanent" : kind === "static" ? "static" : "reachable";
  const remote: VxlanRemote = {
    address: tunnel.dst,
    port: tunnel.port ?? port,
    vni: tunnel.vni ?? vni,
    dev: tunnel.via,
  };
  const kept = known === undefined || verb === "replace" ? [] : known.remotes;
  // Only the entries for many receivers take more than one host; another `append` changes the state alone.
  const appends = kept.length === 0 || (forGroup && !kept.some(sameAs));
  dev.fdb.set(mac, state, appends ? [...kept, remote] : kept, tunnel.isRouter);
  return "";
}

/** One host less; the last one takes the entry with it. A host that is not there is no error. */
function removeRemote(
  dev: Vxlan,
  { mac, state, remotes, isRouter }: VxlanFdbEntry,
  gone: (remote: VxlanRemote) => boolean,
): void {
  const rest = remotes.filter((remote) => !gone(remote));
  if (rest.length === remotes.length) return;
  if (rest.length === 0) dev.fdb.remove(mac);
  else dev.fdb.set(mac, state, rest, isRouter);
}

/** Mirrors iproute2's fdb_modify(). */
function readSpec(words: Words, context: IpContext): Asked {
  let address: string | undefined;
  let name: string | undefined;
  let kind: Asked["kind"] = "local";
  let master = false;
  let self = false;
  let vid = 0;
  let isRouter = false;
  const told = new Map<string, string>();
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "dev") name = words.value();
    else if (word === "self") self = true;
    else if (abbreviates(word, "master")) master = true;
    else if (abbreviates(word, "local") || abbreviates(word, "permanent")) kind = "local";
    else if (abbreviates(word, "static") || abbreviates(word, "temp")) kind = "static";
    else if (abbreviates(word, "dynamic")) kind = "dynamic";
    else if (word === "vlan") vid = words.number(word, 0, 4095);
    else if (word === "router") isRouter = true;
    else if (TUNNEL_WORDS.includes(word)) told.set(word, words.value());
    else if (OTHER_WORDS.includes(word)) throw notModelled("bridge", `bridge fdb … ${word}`);
    else address = word === "to" ? words.value() : word;
  }
  if (name === undefined || address === undefined)
    throw new ToolFailure(255, "Device and address are required arguments.\n");
  const mac = parseMac(address);
  if (mac === undefined) throw new ToolFailure(255, `Invalid mac address ${address}\n`);
  const dev = namespaceOf(context).devices.get(name);
  if (dev === undefined) throw new ToolFailure(255, `Cannot find device "${name}"\n`);
  if (self && master) throw notModelled("bridge", "bridge fdb … self master");
  if (isRouter && !(dev instanceof Vxlan && !master))
    throw notModelled("bridge", "bridge fdb … router");
  return { mac, dev, kind, self: !master, vid, tunnel: { ...tunnelOf(told, dev), isRouter } };
}

const TUNNEL_WORDS: readonly string[] = ["dst", "port", "vni", "via"];

function tunnelOf(
  told: ReadonlyMap<string, string>,
  dev: NetDevice,
): Omit<TunnelWords, "isRouter"> {
  const [dst, port, vni, via] = TUNNEL_WORDS.map((word) => told.get(word));
  const lower = via === undefined ? undefined : dev.ns.devices.get(via);
  if (via !== undefined && lower === undefined)
    throw new ToolFailure(255, `Cannot find device "${via}"\n`);
  return {
    ...(dst === undefined ? {} : { dst: parseIpv6(dst) ?? readAddress(dst) }),
    ...(port === undefined ? {} : { port: tunnelNumber(port, 65_535, "invalid port\n") }),
    ...(vni === undefined ? {} : { vni: tunnelNumber(vni, 0xff_ffff, "invalid VNI\n") }),
    ...(lower === undefined ? {} : { via: lower }),
  };
}

function tunnelNumber(word: string, high: number, refused: string): number {
  const value = parseNumber(word);
  if (value === undefined || value > high) throw wrongArgument(word, refused);
  return value;
}

const OTHER_WORDS: readonly string[] = [
  "src_vni",
  "use",
  "extern_learn",
  "sticky",
  "nhid",
  "dynamic_learn",
];

/** Entries of bridges. Differs: the groups that devices listen to (`self permanent`) are not listed. */
function show(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  let bridgeName: string | undefined;
  let deviceName: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "br") bridgeName = words.value();
    else if (word === "brport" || word === "dev") deviceName = words.value();
    else throw notModelled("bridge", `bridge fdb show ${word}`);
  }
  for (const name of [bridgeName, deviceName]) {
    if (name !== undefined && !ns.devices.has(name))
      throw new ToolFailure(
        255,
        `Cannot find ${name === bridgeName ? "bridge " : ""}device "${name}"\n`,
      );
  }
  return [...ns.devices.values()]
    .flatMap((dev) => [
      ...linesOf(dev, bridgeName, deviceName),
      ...tunnelLinesOf(dev, bridgeName, deviceName),
    ])
    .map((line) => `${line}\n`)
    .join("");
}

function linesOf(
  dev: NetDevice,
  bridgeName: string | undefined,
  deviceName: string | undefined,
): readonly string[] {
  const bridge = bridgeOf(dev)?.name;
  if (bridgeName !== undefined && bridge !== bridgeName) return [];
  return entriesOf(dev)
    .filter((entry) => deviceName === undefined || (entry.port?.dev ?? dev).name === deviceName)
    .map((entry) => formatFdbEntry(entry, bridge ?? "", deviceName === undefined));
}

function tunnelLinesOf(
  dev: NetDevice,
  bridgeName: string | undefined,
  deviceName: string | undefined,
): readonly string[] {
  if (!(dev instanceof Vxlan) || (deviceName !== undefined && dev.name !== deviceName)) return [];
  if (bridgeName !== undefined && dev.master?.name !== bridgeName) return [];
  const { name, settings } = dev;
  return dev.fdb
    .list()
    .flatMap((entry) =>
      formatVxlanFdbEntry(entry, { ...settings, name }, deviceName === undefined),
    );
}

/** The entries that point to this device: a port, or the bridge itself. */
function entriesOf(dev: NetDevice): readonly FdbEntry[] {
  const bridge = bridgeOf(dev);
  if (bridge === undefined) return [];
  return bridge.fdb.list().filter((entry) => (entry.port?.dev ?? bridge) === dev);
}

function bridgeOf(dev: NetDevice): BridgeDevice | undefined {
  if (dev instanceof BridgeDevice) return dev;
  return dev.master instanceof BridgeDevice ? dev.master : undefined;
}

function refusal(answer: string): ToolFailure {
  return new ToolFailure(255, rtnetlink(answer).message);
}
