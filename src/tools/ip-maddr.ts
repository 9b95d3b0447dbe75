import type { NetDevice } from "../core/device.js";
import { groups4Of } from "../inet/igmp-groups.js";
import { hasIpv6 } from "../inet/ipv6/devconf.js";
import { groupsOf } from "../inet/ipv6/multicast.js";
import { formatIp, IPV6_ALL_NODES, type IpAddress, parseIpv6 } from "../wire/ip.js";
import { notModelled } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { chooseCommand, garbage, type Words } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["add", change],
  ["delete", change],
  ["show", show],
  ["list", show],
  ["lst", show],
];

/** `ip maddress`: the groups that devices are in. */
export function ipMaddress(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift() ?? "show", "ip maddr help")(words, context);
}

/** Addresses of the link alone can be added; nothing here asks for them. */
function change(): never {
  throw notModelled("ip", "ip maddress add and delete");
}

interface Shown {
  readonly group: IpAddress;
  readonly users: number;
}

/** Mirrors iproute2's multiaddr_list(). */
function show(words: Words, context: IpContext): string {
  if (!context.inetOnly && !context.inet6Only)
    throw notModelled("ip", "ip maddress of all families at once (link addresses); -4 or -6 are");
  const ns = namespaceOf(context);
  let name: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const given = word === "dev" ? words.value() : word;
    if (name !== undefined) throw garbage("dev", given);
    name = given;
  }
  return [...ns.devices.values()]
    .filter((dev) => name === undefined || dev.name === name)
    .map((dev) => formatGroups(dev, context.inetOnly ? of4(dev) : of6(dev)))
    .join("");
}

function of4(dev: NetDevice): readonly Shown[] {
  return groups4Of(dev).map(({ group, users }) => ({ group, users }));
}

/** A device is in the groups of all nodes before it speaks IPv6. Mirrors net/ipv6/addrconf.c:ipv6_add_dev(). */
function of6(dev: NetDevice): readonly Shown[] {
  const groups = groupsOf(dev).toReversed();
  if (groups.length > 0 || hasIpv6(dev)) return groups;
  return [IPV6_ALL_NODES, parseIpv6("ff01::1") ?? IPV6_ALL_NODES].map((group) => ({
    group,
    users: 1,
  }));
}

function formatGroups(dev: NetDevice, groups: readonly Shown[]): string {
  if (groups.length === 0) return "";
  const lines = groups.map(({ group, users }) => {
    const family = typeof group === "number" ? "inet " : "inet6";
    return `\t${family} ${formatIp(group)}${users === 1 ? "" : ` users ${users}`}\n`;
  });
  return `${dev.ifindex}:\t${dev.name}\n${lines.join("")}`;
}
