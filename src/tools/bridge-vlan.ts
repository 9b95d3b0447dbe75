import type { NetDevice } from "../core/device.js";
import { BridgeDevice } from "../link/bridge.js";
import type { BridgePort } from "../link/bridge-port.js";
import type { BridgeVlans } from "../link/bridge-vlans.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { chooseCommand, parseNumber, type Words } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", show],
  ["lst", show],
  ["list", show],
  ["add", (words, context) => change(words, context, "add")],
  ["delete", (words, context) => change(words, context, "delete")],
];

/** `bridge vlan`: which VLANs ports and bridges are in. */
export function bridgeVlan(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "bridge vlan help")(words, context);
}

/** VLANs that can be given: 0 and 4095 mean something else. */
const LAST_VLAN = 4094;

interface Asked {
  readonly dev: NetDevice;
  readonly first: number;
  readonly last: number;
  readonly pvid: boolean;
  readonly untagged: boolean;
  /** Of the bridge itself, where the device is one. */
  readonly self: boolean;
}

/** Mirrors net/bridge/br_netlink.c:br_process_vlan_info(). */
function change(words: Words, context: IpContext, verb: "add" | "delete"): string {
  const { dev, first, last, pvid, untagged, self } = readSpec(words, context);
  const bridge = self ? dev : dev.master;
  if (!(bridge instanceof BridgeDevice)) throw refusal("Operation not supported");
  const port = self ? undefined : bridge.portOf(dev);
  if (first < 1 || last > LAST_VLAN || first > last) throw refusal("Invalid argument");
  if (pvid && first !== last) throw refusal("Invalid argument");
  for (let vid = first; vid <= last; vid++) {
    if (verb === "add") bridge.addVlan(port, vid, { pvid, untagged });
    else bridge.removeVlan(port, vid);
  }
  return "";
}

/** Mirrors iproute2's vlan_modify(). */
function readSpec(words: Words, context: IpContext): Asked {
  let name: string | undefined;
  let range: readonly [number, number] | undefined;
  const flags = { pvid: false, untagged: false, self: false };
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "dev") name = words.value();
    else if (word === "vid") range = vlanRange(words.value());
    else if (word === "pvid" || word === "untagged" || word === "self") flags[word] = true;
    else if (word === "tunnel_info") throw notModelled("bridge", "bridge vlan … tunnel_info");
    // `master` is the default.
    else if (word !== "master")
      throw new ToolFailure(255, `Command line is not complete. Try option "help"\n`);
  }
  if (name === undefined || range === undefined)
    throw new ToolFailure(255, "Device and VLAN ID are required arguments.\n");
  const dev = namespaceOf(context).devices.get(name);
  if (dev === undefined) throw new ToolFailure(255, `Cannot find bridge device "${name}"\n`);
  return { dev, first: range[0], last: range[1], ...flags };
}

/** `10`, `10-20`. */
function vlanRange(word: string): readonly [number, number] {
  const [first = "", last = first] = word.split("-");
  const ids = [first, last].map((part) => {
    const value = parseNumber(part);
    if (value === undefined || value > 4095)
      throw new ToolFailure(255, `Invalid VLAN ID "${part}"\n`);
    return value;
  });
  return [ids[0] ?? 0, ids[1] ?? 0];
}

/** One line a VLAN; the name stands in the first. Devices of no bridge, and of no VLAN, are left out. */
function show(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  let only: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word !== "dev") throw notModelled("bridge", `bridge vlan show ${word}`);
    only = words.value();
    if (!ns.devices.has(only)) throw new ToolFailure(255, `Cannot find device "${only}"\n`);
  }
  const lines = [...ns.devices.values()]
    .filter(({ name }) => only === undefined || name === only)
    .flatMap((dev) => linesOf(dev.name, vlansOf(dev)));
  return [`${column("port")}${"vlan-id".padEnd(9)}`, ...lines].map((line) => `${line}\n`).join("");
}

function vlansOf(dev: NetDevice): BridgeVlans | undefined {
  if (dev instanceof BridgeDevice) return dev.vlans;
  const port: BridgePort | undefined =
    dev.master instanceof BridgeDevice ? dev.master.portOf(dev) : undefined;
  return port?.vlans;
}

function linesOf(name: string, vlans: BridgeVlans | undefined): readonly string[] {
  return (vlans?.ids() ?? []).map((vid, index) => {
    const pvid = vlans?.pvid === vid ? " PVID" : "";
    const untagged = vlans?.leavesUntagged(vid) === true ? " Egress Untagged" : "";
    return `${column(index === 0 ? name : "")}${vid}${pvid}${untagged}`;
  });
}

function column(text: string): string {
  return `${text.padEnd(16)}  `;
}

function refusal(answer: string): ToolFailure {
  return new ToolFailure(255, rtnetlink(answer).message);
}
