import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { BridgeDevice } from "../link/bridge.js";
import { Ipvlan } from "../link/ipvlan.js";
import { Macvlan } from "../link/macvlan.js";
import { Tun } from "../link/tun.js";
import { Vlan } from "../link/vlan.js";
import { Vxlan } from "../link/vxlan.js";
import { isMulticastMac, MAC_ZERO, type Mac } from "../wire/ip.js";
import { readBridgeOptions } from "./bridge-options.js";
import { setPortOption } from "./bridge-port-options.js";
import { notModelled, rtnetlink, ToolFailure } from "./failure.js";
import { deviceOf, type IpContext, namespaceOf } from "./ip-context.js";
import { type LinkArgs, parseLinkArgs } from "./ip-link-args.js";
import { setIpvlanOptions } from "./ip-link-ipvlan.js";
import { setMacvlanOptions } from "./ip-link-macvlan.js";
import { type Words, wrongArgument } from "./words.js";

/** `ip link set [dev] DEV …`. */
export function linkSet(words: Words, context: IpContext): string {
  const args = parseLinkArgs(words, true);
  if (args.name === undefined)
    throw new ToolFailure(255, 'Not enough information: "dev" argument is required.\n');
  const ns = namespaceOf(context);
  if (args.master !== undefined && args.master !== "" && !ns.devices.has(args.master)) {
    throw wrongArgument(args.master, "Device does not exist\n");
  }
  const target = args.netns === undefined ? ns : context.sim.namespaces.get(args.netns);
  if (target === undefined) throw wrongArgument(args.netns ?? "", 'Invalid "netns" value\n');
  const dev = deviceOf(ns, args.name);
  if (args.type !== undefined) setTypeOptions(dev, args);
  moveOrRename(dev, target, args.newName ?? dev.name);
  applyLinkArgs(dev, args);
  return "";
}

/** Changes in the kernel's order. Mirrors net/core/rtnetlink.c:do_setlink(). */
export function applyLinkArgs(dev: NetDevice, args: LinkArgs): void {
  if (args.mac !== undefined) setAddress(dev, args.mac);
  if (args.mtu !== undefined) setMtu(dev, args.mtu);
  if (args.master !== undefined) setMaster(dev, args.master);
  if (args.arp !== undefined) dev.noArp = !args.arp;
  if (args.promisc !== undefined) dev.promiscuous = args.promisc;
  if (args.allmulti !== undefined) dev.allMulticast = args.allmulti;
  if (args.group !== undefined) dev.group = args.group;
  if (args.up === true && dev instanceof Vxlan && !dev.up && dev.openRefusal() !== undefined)
    throw rtnetlink("Address already in use");
  if (args.up === true && dev instanceof Vlan && !dev.lower.up) throw rtnetlink("Network is down");
  if (args.up === true && dev instanceof Macvlan && !dev.up && dev.addressBusy)
    throw rtnetlink("Address already in use");
  if (args.up !== undefined) dev.setUp(args.up);
}

function setTypeOptions(dev: NetDevice, { type, typeWords }: LinkArgs): void {
  if (type === "bridge" && typeWords !== undefined) return setBridgeOptions(dev, typeWords);
  if (type === "ipvlan" && typeWords !== undefined) return setIpvlanOptions(dev, typeWords);
  if (type === "macvlan" && typeWords !== undefined) return setMacvlanOptions(dev, typeWords);
  if (type !== "bridge_slave") throw notModelled("ip", `ip link set … type ${type}`);
  const master = dev.master instanceof BridgeDevice ? dev.master : undefined;
  const port = master?.portOf(dev);
  if (port === undefined) throw rtnetlink("Operation not supported");
  for (let word = typeWords?.shift(); word !== undefined; word = typeWords?.shift()) {
    if (typeWords !== undefined) setPortOption(port, word, typeWords, "ip");
  }
}

function setBridgeOptions(dev: NetDevice, words: Words): void {
  const apply = readBridgeOptions(words);
  if (!(dev instanceof BridgeDevice)) throw rtnetlink("Operation not supported");
  apply(dev);
}

/** The move comes first and stays, even if the new name is then refused. Mirrors net/core/dev.c:__dev_change_net_namespace() and dev_change_name(). */
function moveOrRename(dev: NetDevice, ns: NetworkNamespace, name: string): void {
  if (ns !== dev.ns) {
    if (dev.isLoopback || dev instanceof BridgeDevice)
      throw rtnetlink("Error: The interface netns is immutable.");
    const free = ns.devices.has(dev.name) ? name : dev.name;
    if (ns.devices.has(free)) throw rtnetlink("File exists");
    dev.move(ns, free);
  }
  if (name === dev.name) return;
  if (ns.devices.has(name)) throw rtnetlink("File exists");
  dev.rename(name);
}

/** Mirrors net/ethernet/eth.c:eth_prepare_mac_addr_change(). */
function setAddress(dev: NetDevice, mac: Mac): void {
  if (mac === MAC_ZERO || isMulticastMac(mac)) throw rtnetlink("Cannot assign requested address");
  if (dev.isLoopback || dev.isPointToPoint || dev instanceof Ipvlan)
    throw rtnetlink("Operation not supported");
  if (dev instanceof BridgeDevice) return dev.setMac(mac);
  if (dev.mac === mac) return;
  // It has the address of the device below. Mirrors macvlan_set_mac_address().
  if (dev instanceof Macvlan && dev.mode === "passthru") return setAddress(dev.lower, mac);
  if (dev instanceof Macvlan && dev.isTaken(mac)) throw rtnetlink("Address already in use");
  if (dev instanceof Vlan) dev.followsMac = false;
  dev.mac = mac;
  dev.ns.notify("address", dev);
}

/** The smallest MTU of an Ethernet device, and the largest of a virtual one. */
const ETH_MIN_MTU = 68;
const ETH_MAX_MTU = 65_535;

function setMtu(dev: NetDevice, mtu: number): void {
  if (!dev.isLoopback && mtu < ETH_MIN_MTU) throw rtnetlink("Error: mtu less than device minimum.");
  if (!dev.isLoopback && mtu > (dev instanceof Tun ? dev.maxMtu : ETH_MAX_MTU))
    throw rtnetlink("Error: mtu greater than device maximum.");
  if (dev instanceof BridgeDevice) return dev.setMtu(mtu);
  if (dev instanceof Vlan && mtu > dev.lower.mtu) throw rtnetlink("Numerical result out of range");
  if (dev instanceof Macvlan && mtu > dev.lower.mtu) throw rtnetlink("Invalid argument");
  if (dev instanceof Vxlan && mtu > (dev.maxMtu ?? ETH_MAX_MTU))
    throw rtnetlink("Invalid argument");
  if (dev.mtu === mtu) return;
  dev.mtu = mtu;
  dev.ns.notify("mtu", dev);
}

/** Mirrors net/core/rtnetlink.c:do_set_master() and net/bridge/br_if.c:br_add_if(). */
function setMaster(dev: NetDevice, name: string): void {
  const master = name === "" ? undefined : deviceOf(dev.ns, name);
  if (dev.master instanceof BridgeDevice && dev.master !== master) dev.master.removePort(dev);
  if (master === undefined || dev.master === master) return;
  if (!(master instanceof BridgeDevice)) throw rtnetlink("Operation not supported");
  if (dev.isLoopback || dev.isPointToPoint) throw rtnetlink("Invalid argument");
  if (dev instanceof BridgeDevice) throw rtnetlink("Error: Can not enslave a bridge to a bridge.");
  master.addPort(dev);
}
