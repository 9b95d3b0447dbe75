import type { NetDevice } from "../core/device.js";
import {
  addAddress,
  addressesOf,
  type AddressSpec,
  type InterfaceAddress,
  removeAddress,
} from "../inet/addresses.js";
import { parseScope, scopeName } from "../inet/fib-names.js";
import { broadcastOf, formatIpv4, type Ipv4, type Ipv4Prefix } from "../wire/ip.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import {
  deviceOf,
  type IpContext,
  isAboutIpv6,
  namespaceOf,
  readAddress,
  readPrefix,
} from "./ip-context.js";
import { change6, flush6, formatAddress6, formatLocal6, lifetime6 } from "./ip6-address.js";
import { addresses6Of } from "../inet/ipv6/addresses.js";
import {
  briefStart,
  briefStart6,
  formatLink,
  formatLink6,
  readDeviceFilter,
} from "./ip-link-show.js";
import { abbreviates, chooseCommand, garbage, type Words, wrongArgument } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["show", show],
  ["lst", show],
  ["list", show],
  ["add", (words, context) => change(words, context, "add")],
  ["change", (words, context) => change(words, context, "replace")],
  ["chg", (words, context) => change(words, context, "replace")],
  ["replace", (words, context) => change(words, context, "replace")],
  ["delete", (words, context) => change(words, context, "delete")],
  ["flush", flush],
];

/** `ip address`. */
export function ipAddress(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "ip address help")(words, context);
}

interface Asked extends AddressSpec {
  readonly dev: NetDevice;
}

function change(words: Words, context: IpContext, verb: "add" | "replace" | "delete"): string {
  if (isAboutIpv6(words, context)) return change6(words, context, verb);
  const { dev, ...spec } = readSpec(words, context);
  if (verb === "delete") {
    const refusal = removeAddress(dev, spec);
    if (refusal !== undefined) throw rtnetlink(refusal);
    return "";
  }
  const exists = addressesOf(dev).some(
    ({ local, length }) => local === spec.address && length === spec.length,
  );
  if (verb === "replace" && exists) return "";
  const refusal = addAddress(dev, spec);
  if (refusal !== undefined) throw rtnetlink(refusal);
  return "";
}

/** Mirrors iproute2's ipaddr_modify(). */
function readSpec(words: Words, context: IpContext): Asked {
  let local: Ipv4Prefix | undefined;
  let peer: Ipv4Prefix | undefined;
  let broadcast: string | undefined;
  let scope: number | undefined;
  let name: string | undefined;
  let noPrefixRoute = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "peer" || word === "remote") peer = readPrefix(words.value());
    else if (word === "broadcast" || word === "brd") broadcast = words.value();
    else if (word === "scope") scope = readScope(words.value());
    else if (word === "dev") name = words.value();
    else if (word === "noprefixroute") noPrefixRoute = true;
    else if (word === "label") throw notModelled("ip", "ip address … label");
    else if (LIFETIMES.includes(word)) words.value();
    else if (!HARMLESS.includes(word)) {
      const given = word === "local" ? words.value() : word;
      if (local !== undefined) throw garbage("local", given);
      local = readPrefix(given);
    }
  }
  if (name === undefined)
    throw new ToolFailure(1, 'Not enough information: "dev" argument is required.\n');
  const dev = deviceOf(namespaceOf(context), name);
  if (local === undefined) throw rtnetlink("Invalid argument");
  const length = (peer ?? local).length;
  return {
    dev,
    address: local.address,
    length,
    peer: peer?.address,
    broadcast: readBroadcast(broadcast, { address: local.address, length }),
    scope,
    noPrefixRoute,
  };
}

/** How long an address lives; for ever is all there is here. IPv6's flags say nothing about IPv4. */
const LIFETIMES: readonly string[] = ["valid_lft", "preferred_lft"];
const HARMLESS: readonly string[] = ["nodad", "home", "mngtmpaddr", "optimistic"];

/** `+` stands for the last address of the subnet, `-` for the first. */
function readBroadcast(word: string | undefined, prefix: Ipv4Prefix): Ipv4 | undefined {
  if (word === undefined) return undefined;
  if (word === "+") return prefix.length <= 30 ? broadcastOf(prefix) : undefined;
  if (word === "-") throw notModelled("ip", "ip address … broadcast -");
  return readAddress(word);
}

function readScope(word: string): number {
  const scope = parseScope(word);
  if (scope === undefined) throw wrongArgument(word, "invalid scope value.");
  return scope;
}

function show(words: Words, context: IpContext): string {
  const { devices, named } = readDeviceFilter(words, context, "ip address");
  return devices
    .filter((dev) => (named && !context.inet6Only) || !isEmpty(dev, context))
    .map((dev) => formatDevice(dev, context, named))
    .join("");
}

/** A listing of one family leaves out devices that have no address of it. */
function isEmpty(dev: NetDevice, { inetOnly, inet6Only }: IpContext): boolean {
  return (
    (inetOnly && addressesOf(dev).length === 0) || (inet6Only && addresses6Of(dev).length === 0)
  );
}

function formatDevice(dev: NetDevice, context: IpContext, named: boolean): string {
  const addresses = context.inet6Only ? [] : addressesOf(dev);
  const addresses6 = context.inetOnly ? [] : addresses6Of(dev);
  if (context.brief) {
    const shown = [...addresses.map(formatLocal), ...addresses6.map(formatLocal6)];
    const start = context.inet6Only && !named ? briefStart6(dev) : briefStart(dev);
    return `${start}${shown.map((address) => `${address} `).join("")}\n`;
  }
  const all: readonly (readonly [text: string, lifetime: string])[] = [
    ...addresses.map((address) => [formatAddress(address), FOREVER] as const),
    ...addresses6.map((address) => [formatAddress6(address), lifetime6(address)] as const),
  ];
  if (context.oneLine) {
    return all
      .map(([text, lifetime]) => `${dev.ifindex}: ${dev.name}    ${text}\\       ${lifetime}\n`)
      .join("");
  }
  const lines = all.map(([text, lifetime]) => `    ${text}\n       ${lifetime}\n`);
  const link = context.inet6Only && !named ? formatLink6(dev) : formatLink(dev, context, false);
  return `${link}\n${lines.join("")}`;
}

const FOREVER = "valid_lft forever preferred_lft forever";

/** `inet 10.0.0.1/24 brd 10.0.0.255 scope global eth0`. */
function formatAddress(address: InterfaceAddress): string {
  const words = [`inet ${formatLocal(address)}`];
  if (address.broadcast !== undefined) words.push(`brd ${formatIpv4(address.broadcast)}`);
  words.push(`scope ${scopeName(address.scope)}`);
  if (address.secondary) words.push("secondary");
  if (address.noPrefixRoute) words.push("noprefixroute");
  words.push(address.dev.name);
  return words.join(" ");
}

function formatLocal({ local, peer, length }: InterfaceAddress): string {
  return peer === local
    ? `${formatIpv4(local)}/${length}`
    : `${formatIpv4(local)} peer ${formatIpv4(peer)}/${length}`;
}

function flush(words: Words, context: IpContext): string {
  const first = words.peek();
  if (first === undefined) throw new ToolFailure(1, "Flush requires arguments.\n");
  if (!abbreviates(first, "dev") && !namespaceOf(context).devices.has(first))
    throw notModelled("ip", `ip address flush ${first}`);
  const { devices } = readDeviceFilter(words, context, "ip address");
  for (const dev of devices) {
    if (!context.inetOnly) flush6(dev);
    if (context.inet6Only) continue;
    for (let [address] = addressesOf(dev); address !== undefined; [address] = addressesOf(dev)) {
      const { local, length, peer } = address;
      removeAddress(dev, { address: local, length, peer });
    }
  }
  return "";
}
