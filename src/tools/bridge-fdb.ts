import type { NetDevice } from "../core/device.js";
import { BridgeDevice } from "../link/bridge.js";
import { type FdbEntry, formatFdbEntry } from "../link/fdb.js";
import { isMulticastMac, type Mac, MAC_ZERO, parseMac } from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { abbreviates, chooseCommand, type Words } from "./words.js";

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
}

/** Mirrors net/bridge/br_fdb.c:br_fdb_add() and br_fdb_delete(). */
function change(words: Words, context: IpContext, verb: Verb): string {
  const { mac, dev, kind, self } = readSpec(words, context);
  const bridge = self ? dev : dev.master;
  if (!(bridge instanceof BridgeDevice)) {
    if (self) throw notModelled("bridge", `an address filter of a ${dev.kind} (fdb … self)`);
    throw refusal("Operation not supported");
  }
  const port = self ? undefined : bridge.portOf(dev);
  const known = bridge.fdb.lookup(mac);
  if (verb === "delete") {
    if (known === undefined || known.port !== port) throw refusal("No such file or directory");
    bridge.fdb.remove(mac);
    return "";
  }
  if (mac === MAC_ZERO || isMulticastMac(mac)) throw refusal("Invalid argument");
  if (known !== undefined && verb === "add") throw refusal("File exists");
  if (self && kind !== "local") throw refusal("Invalid argument");
  bridge.fdb.set({ mac, port, local: kind === "local", static: kind !== "dynamic", byUser: true });
  return "";
}

/** Mirrors iproute2's fdb_modify(). */
function readSpec(words: Words, context: IpContext): Asked {
  let address: string | undefined;
  let name: string | undefined;
  let kind: Asked["kind"] = "local";
  let master = false;
  let self = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "dev") name = words.value();
    else if (word === "self") self = true;
    else if (abbreviates(word, "master")) master = true;
    else if (abbreviates(word, "local") || abbreviates(word, "permanent")) kind = "local";
    else if (abbreviates(word, "static") || abbreviates(word, "temp")) kind = "static";
    else if (abbreviates(word, "dynamic")) kind = "dynamic";
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
  return { mac, dev, kind, self: !master };
}

const OTHER_WORDS: readonly string[] = [
  "dst",
  "vlan",
  "port",
  "vni",
  "src_vni",
  "via",
  "router",
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
    .flatMap((dev) => entriesOf(dev).map((entry) => ({ dev, entry })))
    .filter(
      ({ dev, entry }) =>
        (bridgeName === undefined || bridgeOf(dev)?.name === bridgeName) &&
        (deviceName === undefined || (entry.port?.dev ?? dev).name === deviceName),
    )
    .map(
      ({ dev, entry }) =>
        `${formatFdbEntry(entry, bridgeOf(dev)?.name ?? "", deviceName === undefined)}\n`,
    )
    .join("");
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
