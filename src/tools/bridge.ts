import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { BridgeDevice } from "../link/bridge.js";
import type { BridgePort } from "../link/bridge-port.js";
import { bridgeFdb } from "./bridge-fdb.js";
import { PORT_SWITCHES, setPortOption } from "./bridge-port-options.js";
import { bridgeMdb } from "./bridge-mdb.js";
import { bridgeVlan } from "./bridge-vlan.js";
import type { Tool, ToolContext } from "./command.js";
import { notModelled, rtnetlink, runCommand, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { flagsOf, otherEnd } from "./ip-link-show.js";
import { abbreviates, chooseCommand, Words } from "./words.js";

/** `bridge` of iproute2 6.1: ports of bridges, their VLANs and their forwarding databases. */
export const bridge: Tool = {
  name: "bridge",
  run: (args, context) => runCommand(() => runBridge(args, context)),
};

function runBridge(args: readonly string[], { sim, ns }: ToolContext): string {
  const words = new Words(args);
  let context: IpContext = {
    sim,
    nsName: ns,
    inetOnly: false,
    inet6Only: false,
    oneLine: false,
    brief: false,
    details: false,
  };
  while (words.peek()?.startsWith("-") === true) {
    const option = words.value().replace(/^--?/, "");
    if (option === "n" || option === "netns") context = { ...context, nsName: words.value() };
    else if (option === "d" || option === "details") context = { ...context, details: true };
    else throw notModelled("bridge", `option -${option}`);
  }
  const object = words.shift() ?? "help";
  if (abbreviates(object, "link")) return bridgeLink(words, context);
  if (abbreviates(object, "fdb")) return bridgeFdb(words, context);
  if (abbreviates(object, "vlan")) return bridgeVlan(words, context);
  if (object === "mdb") return bridgeMdb(words, context);
  if (["vni", "monitor"].includes(object)) throw notModelled("bridge", `bridge ${object}`);
  throw new ToolFailure(255, `Object "${object}" is unknown, try "bridge help".\n`);
}

type Command = (words: Words, context: IpContext) => string;

const LINK_COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", show],
  ["lst", show],
  ["list", show],
  ["set", set],
  ["change", set],
];

function bridgeLink(words: Words, context: IpContext): string {
  return chooseCommand(LINK_COMMANDS, words.shift(), "bridge link help")(words, context);
}

/** Refusals of the kernel end `bridge` with code 255. */
function set(words: Words, context: IpContext): string {
  if (!words.take("dev")) throw new ToolFailure(255, "Device is a required argument.\n");
  const ns = namespaceOf(context);
  const name = words.value();
  const dev = ns.devices.get(name);
  if (dev === undefined) throw new ToolFailure(255, `Cannot find bridge device "${name}"\n`);
  const port = portOf(ns, name);
  for (let option = words.shift(); option !== undefined; option = words.shift()) {
    if (option === "self" || option === "master") continue;
    if (port === undefined)
      throw new ToolFailure(255, rtnetlink("Operation not supported").message);
    setPortOption(port, option, words, "bridge");
  }
  return "";
}

function show(words: Words, context: IpContext): string {
  const ns = namespaceOf(context);
  let name: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word !== "dev") throw notModelled("bridge", `bridge link show ${word}`);
    name = words.value();
    if (!ns.devices.has(name)) throw new ToolFailure(255, `Cannot find device "${name}"\n`);
  }
  return [...ns.devices.values()]
    .filter((dev) => name === undefined || dev.name === name)
    .map((dev) => portOf(ns, dev.name))
    .filter((port) => port !== undefined)
    .map((port) => `${formatPort(port)}\n${context.details ? `${formatSwitches(port)}\n` : ""}`)
    .join("");
}

function portOf(ns: NetworkNamespace, name: string): BridgePort | undefined {
  const dev = ns.devices.get(name);
  return dev?.master instanceof BridgeDevice ? dev.master.portOf(dev) : undefined;
}

/** As the tool finds the other end: its index among the port's own neighbours, wherever it is. Mirrors iproute2's print_name_and_link(). */
function nameAndLink(dev: NetDevice): string {
  const index = otherEnd(dev)?.ifindex ?? dev.ifindex;
  if (index === dev.ifindex) return dev.name;
  const named = [...dev.ns.devices.values()].find((other) => other.ifindex === index);
  return `${dev.name}@${named?.name ?? `if${index}`}`;
}

function formatPort({ dev, bridge: master, state, stp }: BridgePort): string {
  return `${dev.ifindex}: ${nameAndLink(dev)}: <${flagsOf(dev)}> mtu ${dev.mtu} master ${master.name} state ${state} priority ${stp.priority} cost ${stp.pathCost} `;
}

function formatSwitches(port: BridgePort): string {
  const words = PORT_SWITCHES.flatMap(([name, flag]) => {
    const shown = `${name} ${flag !== "off" && port.flags[flag] ? "on" : "off"}`;
    return name === "bcast_flood"
      ? [shown, `mcast_router ${port.multicast.routerSetting}`]
      : [shown];
  });
  return `    ${words.join(" ")} `;
}
