import type { NetworkNamespace } from "../core/namespace.js";
import { Tun, type TunMode, type TunSettings } from "../link/tun.js";
import { ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { abbreviates, chooseCommand, garbage, type Words, wrongArgument } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", show],
  ["lst", show],
  ["list", show],
  ["add", add],
  ["delete", remove],
];

/** `ip tuntap`: devices whose other end is a program. */
export function ipTuntap(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "ip tuntap help")(words, context);
}

/** Mirrors iproute2's tap_add_ioctl() and drivers/net/tun.c:tun_set_iff(). */
function add(words: Words, context: IpContext): string {
  const { name, settings } = readSpec(words);
  const ns = namespaceOf(context);
  if (name !== undefined && ns.devices.has(name)) throw refusal("Device or resource busy");
  new Tun({ name: name ?? freeName(ns, settings.mode), ns, settings }).register();
  return "";
}

/** One that is not there is made and goes at once. Mirrors iproute2's tap_del_ioctl(). */
function remove(words: Words, context: IpContext): string {
  const { name, settings } = readSpec(words);
  const dev = name === undefined ? undefined : namespaceOf(context).devices.get(name);
  if (dev === undefined) return "";
  if (!(dev instanceof Tun) || !isCompatible(dev.settings, settings))
    throw refusal("Invalid argument");
  dev.destroy();
  return "";
}

function isCompatible(device: TunSettings, asked: TunSettings): boolean {
  return device.mode === asked.mode && device.multiQueue === asked.multiQueue;
}

/** All of them, whatever else is said. */
function show(_words: Words, context: IpContext): string {
  return [...namespaceOf(context).devices.values()]
    .filter((dev) => dev instanceof Tun)
    .map((dev) => `${dev.name}: ${formatSettings(dev.settings)}\n`)
    .join("");
}

/** Mirrors iproute2's print_tuntap(); the bit of `pi` and of `filter` is the same. */
function formatSettings(settings: TunSettings): string {
  const { mode, packetInfo, oneQueue, multiQueue, vnetHeader, user, group } = settings;
  return [
    mode,
    packetInfo ? "pi" : "",
    oneQueue ? "one_queue" : "",
    multiQueue ? "multi_queue" : "",
    vnetHeader ? "vnet_hdr" : "",
    "persist",
    packetInfo ? "filter" : "",
    user === undefined ? "" : `user ${user}`,
    group === undefined ? "" : `group ${group}`,
  ]
    .filter((word) => word !== "")
    .join(" ");
}

/** `tun type tap pi off …`, as `ip -d link` prints it. Mirrors iproute2's ip/iplink_tun.c:tun_print_opt(). */
export function formatTunOptions({ settings }: Tun): string {
  const { mode, packetInfo, multiQueue, vnetHeader, user, group } = settings;
  const onOff = (on: boolean): string => (on ? "on" : "off");
  const queues = multiQueue ? "multi_queue numqueues 0 numdisabled 0 " : "";
  const owner = user === undefined ? "" : `user ${nameOf(user)} `;
  const owners = group === undefined ? "" : `group ${nameOf(group)} `;
  return `type ${mode} pi ${onOff(packetInfo)} vnet_hdr ${onOff(vnetHeader)} ${queues}persist on ${owner}${owners}`;
}

/** Names of the one user that every machine has. */
function nameOf(id: number): string {
  return id === 0 ? "root" : String(id);
}

interface Spec {
  readonly name: string | undefined;
  readonly settings: TunSettings;
}

/** Mirrors iproute2's ip/iptuntap.c:parse_args(). */
function readSpec(words: Words): Spec {
  let name: string | undefined;
  let mode: TunMode | undefined;
  let user: number | undefined;
  let group: number | undefined;
  const flags = new Set<string>();
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const given: string = word;
    if (abbreviates(given, "mode")) mode = readMode(words.value(), mode);
    else if (abbreviates(given, "user")) user = readId(words.value(), "user");
    else if (abbreviates(given, "group")) group = readId(words.value(), "group");
    else if (FLAGS.some((flag) => abbreviates(given, flag)))
      flags.add(FLAGS.find((flag) => abbreviates(given, flag)) ?? given);
    else if (abbreviates(given, "dev")) name = checkName(words.value(), "dev");
    else {
      const own = abbreviates(given, "name") ? words.value() : given;
      if (name !== undefined) throw garbage("name", own);
      name = checkName(own, "name");
    }
  }
  if (mode === undefined) throw new ToolFailure(1, "You failed to specify a tunnel mode\n");
  const settings = {
    mode,
    packetInfo: flags.has("pi"),
    oneQueue: flags.has("one_queue"),
    vnetHeader: flags.has("vnet_hdr"),
    multiQueue: flags.has("multi_queue"),
    user,
    group,
  };
  return { name, settings };
}

const FLAGS: readonly string[] = ["pi", "one_queue", "vnet_hdr", "multi_queue"];

function readMode(word: string, already: TunMode | undefined): TunMode {
  const mode = (["tun", "tap"] as const).find((name) => abbreviates(word, name));
  if (mode === undefined) throw new ToolFailure(255, `Unknown tunnel mode "${word}"\n`);
  if (already !== undefined && already !== mode)
    throw new ToolFailure(255, "You managed to ask for more than one tunnel mode.\n");
  return mode;
}

function readId(word: string, kind: "user" | "group"): number {
  if (word === "root") return 0;
  if (!/^\d{1,10}$/.test(word)) throw new ToolFailure(255, `invalid ${kind} "${word}"\n`);
  return Number(word);
}

function checkName(name: string, key: string): string {
  if (name === "" || name.length > 15 || /[/\s]/.test(name))
    throw wrongArgument(name, `"${key}" not a valid ifname`);
  return name;
}

function freeName(ns: NetworkNamespace, mode: TunMode): string {
  let number = 0;
  while (ns.devices.has(`${mode}${number}`)) number++;
  return `${mode}${number}`;
}

function refusal(answer: string): ToolFailure {
  return new ToolFailure(1, `ioctl(TUNSETIFF): ${answer}\n`);
}
