import type { NetDevice } from "../core/device.js";
import { BridgeDevice } from "../link/bridge.js";
import { Ipvlan } from "../link/ipvlan.js";
import { Macvlan } from "../link/macvlan.js";
import { Tun } from "../link/tun.js";
import { Vlan } from "../link/vlan.js";
import { Veth } from "../link/veth.js";
import { formatMac, MAC_BROADCAST, MAC_ZERO } from "../wire/ip.js";
import { notModelled } from "./failure.js";
import { type IpContext, namespaceOf, shownDeviceOf } from "./ip-context.js";
import { formatDetails } from "./ip-link-details.js";
import { abbreviates, garbage, type Words } from "./words.js";

/** Which devices a `show` is about. */
export interface DeviceFilter {
  readonly devices: readonly NetDevice[];
  /** One device was named: it is shown even if nothing else fits. */
  readonly named: boolean;
}

/** `ip link show [dev DEV] [up] [type TYPE] [master DEV]`. */
export function linkShow(words: Words, context: IpContext): string {
  const { devices } = readDeviceFilter(words, context, "ip link");
  if (context.brief)
    return devices.map((dev) => `${briefStart(dev)}${shownMac(dev)}<${flagsOf(dev)}> \n`).join("");
  return devices.map((dev) => `${formatLink(dev, context, true)}\n`).join("");
}

/** Reads what selects devices in `ip link show` and `ip addr show`. */
export function readDeviceFilter(words: Words, context: IpContext, command: string): DeviceFilter {
  const ns = namespaceOf(context);
  let devices = [...ns.devices.values()];
  let name: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "up") devices = devices.filter((dev) => dev.up);
    else if (word === "type") {
      const kind = words.value();
      devices = devices.filter((dev) => dev.kind === kind);
    } else if (word === "master") {
      const master = shownDeviceOf(ns, words.value());
      devices = devices.filter((dev) => dev.master === master);
    } else if (
      command === "ip address" &&
      ["scope", "to", "label", "primary", "secondary", "permanent", "dynamic"].includes(word)
    ) {
      throw notModelled("ip", `${command} show ${word}`);
    } else {
      const given = abbreviates(word, "dev") ? words.value() : word;
      if (name !== undefined) throw garbage("dev", given);
      name = given;
    }
  }
  if (name === undefined) return { devices, named: false };
  const only = shownDeviceOf(ns, name);
  return { devices: devices.filter((dev) => dev === only), named: true };
}

/** The lines about a device, without the last newline. `ip addr` leaves out the mode, and `-4` the second line. */
export function formatLink(dev: NetDevice, context: IpContext, withMode: boolean): string {
  const master = dev.master === undefined ? "" : `master ${dev.master.name} `;
  const queue = dev.wasUp ? (dev instanceof Tun ? "pfifo_fast" : "noqueue") : "noop";
  const length = dev.isPointToPoint ? 500 : 1000;
  const first = `${dev.ifindex}: ${shownName(dev)}: <${flagsOf(dev)}> mtu ${dev.mtu} qdisc ${queue} ${master}state ${operstate(dev)} ${withMode ? "mode DEFAULT " : ""}group ${dev.group === 0 ? "default" : dev.group} qlen ${length}`;
  const other = otherEnd(dev);
  const far = other !== undefined && other.ns !== dev.ns ? ` link-netns ${other.ns.name}` : "";
  const isShort = context.inetOnly || context.inet6Only;
  if (!withMode && isShort && !context.details) return `${first}${far}`;
  const lineBreak = context.oneLine ? "\\" : "\n";
  const start = `${first}${lineBreak}    link/`;
  const details = context.details ? formatDetails(dev, lineBreak, withMode) : "";
  if (dev.isPointToPoint) return `${start}none ${far}${details}`;
  const [type, broadcast] = dev.isLoopback ? ["loopback", MAC_ZERO] : ["ether", MAC_BROADCAST];
  return `${start}${type} ${formatMac(dev.mac)} brd ${formatMac(broadcast)}${far}${details}`;
}

/** As IPv6 itself tells of a device: without queue, group and other end. Mirrors inet6_fill_ifinfo(). */
export function formatLink6(dev: NetDevice): string {
  return `${dev.ifindex}: ${dev.name}: <${flagsOf(dev)}> mtu ${dev.mtu} state ${operstate(dev)} qlen ${dev.isPointToPoint ? 500 : 1000}`;
}

export function briefStart6(dev: NetDevice): string {
  return `${dev.name.padEnd(16)} ${operstate(dev).padEnd(14)} `;
}

/** Name and state in columns, as `-br` begins its lines. */
export function briefStart(dev: NetDevice): string {
  return `${shownName(dev).padEnd(16)} ${operstate(dev).padEnd(14)} `;
}

function shownMac(dev: NetDevice): string {
  return dev.isPointToPoint ? "" : `${formatMac(dev.mac)} `;
}

/** `veth0@veth1`, or `veth0@if7` when the other end is elsewhere. */
export function shownName(dev: NetDevice): string {
  const peer = otherEnd(dev);
  if (peer === undefined) return dev.name;
  return `${dev.name}@${peer.ns === dev.ns ? peer.name : `if${peer.ifindex}`}`;
}

/** What IFLA_LINK names: the other end of a veth, the device below. */
export function otherEnd(dev: NetDevice): NetDevice | undefined {
  if (dev instanceof Veth) return dev.peer;
  return isStacked(dev) ? dev.lower : undefined;
}

/** A device on top of one other, whose carrier it has. */
function isStacked(dev: NetDevice): dev is Macvlan | Vlan | Ipvlan {
  return dev instanceof Macvlan || dev instanceof Vlan || dev instanceof Ipvlan;
}

/** Mirrors iproute2's print_link_flags(). */
export function flagsOf(dev: NetDevice): string {
  const { up } = dev;
  const other = otherEnd(dev);
  const flags = [
    up && !dev.carrier ? "NO-CARRIER" : "",
    dev.isPointToPoint ? "POINTOPOINT" : dev.isLoopback ? "LOOPBACK" : "BROADCAST",
    dev.isLoopback || dev.kind === "dummy" || dev.kind === "ifb" ? "" : "MULTICAST",
    dev.allMulticast ? "ALLMULTI" : "",
    dev.promiscuous ? "PROMISC" : "",
    dev.noArp || dev.kind === "dummy" ? "NOARP" : "",
    up ? "UP" : "",
    up && dev.carrier ? "LOWER_UP" : "",
    other?.ns === dev.ns && !other.up ? "M-DOWN" : "",
  ];
  return flags.filter((flag) => flag !== "").join(",");
}

/** Mirrors net/core/link_watch.c:default_operstate(): the index of a veth's other end is looked up among the device's own neighbours. */
function operstate(dev: NetDevice): string {
  if (!dev.up) return "DOWN";
  if (dev instanceof BridgeDevice)
    return dev.carrierChanged ? (dev.carrier ? "UP" : "DOWN") : "UNKNOWN";
  if (dev instanceof Ipvlan && !dev.carrierChanged) return "UNKNOWN";
  if (isStacked(dev)) return dev.carrier ? "UP" : "LOWERLAYERDOWN";
  if (!(dev instanceof Veth)) return dev.carrier ? "UNKNOWN" : "DOWN";
  if (dev.carrier) return "UP";
  const index = dev.peer?.ifindex ?? dev.ifindex;
  const lower =
    index === dev.ifindex
      ? undefined
      : [...dev.ns.devices.values()].find((other) => other.ifindex === index);
  return lower === undefined || lower.carrier ? "DOWN" : "LOWERLAYERDOWN";
}
