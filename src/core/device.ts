import { ETH_P_8021Q } from "../wire/ethernet.js";
import { type IpAddress, type Mac, MAC_BROADCAST, isMulticastMac } from "../wire/ip.js";
import { drop } from "./drop.js";
import type { SendResult } from "./errno.js";
import type { NetworkNamespace } from "./namespace.js";
import type { PacketType, SkBuff } from "./skbuff.js";
import { told } from "./trace.js";

/** What a device's receive handler did. `another` starts again with the changed `skb.dev`. Mirrors enum rx_handler_result. */
export type RxResult = "consumed" | "another" | "pass";

/** Takes frames before a device's driver does, and gives them on at its own pace or drops them. Mirrors struct Qdisc. */
export interface Qdisc {
  /** What it is and does, in a line. */
  readonly text: string;
  enqueue(skb: SkBuff, send: (skb: SkBuff) => void): SendResult;
}

export interface DeviceOptions {
  readonly name: string;
  readonly ns: NetworkNamespace;
  readonly mac: Mac;
  readonly mtu: number;
}

/** A network device. Subclasses in `link/` are its drivers. Mirrors struct net_device. */
export abstract class NetDevice {
  /** As `ip link` names it: `veth`, `bridge`, `loopback`. */
  abstract readonly kind: string;
  /** Changed by `move` alone. */
  name: string;
  ns: NetworkNamespace;
  ifindex: number;
  mac: Mac;
  mtu: number;
  /** IFF_UP. Set through `setUp`. */
  up = false;
  /** It was up before: it has its queue, shown as `qdisc noqueue`. */
  wasUp = false;
  /** IFF_NOARP: neighbours are not resolved. */
  noArp = false;
  isLoopback = false;
  /** IFF_POINTOPOINT without addresses below IP: a `tun` device. */
  isPointToPoint = false;
  /** What rules and commands may call several devices by; 0 is `default`. Mirrors dev->group. */
  group = 0;
  /** IFF_PROMISC as somebody asked for it. Virtual devices hand every frame to the stack anyway; a bridge then hands up what it forwards. */
  promiscuous = false;
  /** IFF_ALLMULTI as somebody asked for it. */
  allMulticast = false;
  /** The bridge this device is a port of. */
  master: NetDevice | undefined;
  /** Takes frames before the protocols do. Mirrors dev->rx_handler. */
  rxHandler: ((skb: SkBuff) => RxResult) | undefined;
  /** Takes tagged frames before anybody else; true when it did, and `skb.dev` is the VLAN's device. Mirrors vlan_do_receive(). */
  vlanHandler: ((skb: SkBuff) => boolean) | undefined;
  /** Tells devices with one MAC address apart in their IPv6 addresses; 0 for those with an address of their own. Mirrors dev->dev_id. */
  devId = 0;
  /** The device in whose namespace a packet is routed, when not this one's. Mirrors l3mdev_l3_rcv(). */
  l3Receive: ((skb: SkBuff) => NetDevice | undefined) | undefined;
  /** What frames wait in before they leave; undefined sends them at once. */
  qdisc: Qdisc | undefined;
  /** Takes frames before handlers and protocols do; true when it did. Mirrors the ingress qdisc and its filters. */
  ingress: ((skb: SkBuff) => boolean) | undefined;
  readonly counters = {
    rxPackets: 0,
    rxBytes: 0,
    txPackets: 0,
    txBytes: 0,
    rxDropped: 0,
    txDropped: 0,
  };

  constructor(options: DeviceOptions) {
    this.name = options.name;
    this.ns = options.ns;
    this.mac = options.mac;
    this.mtu = options.mtu;
    this.ifindex = options.ns.allocateIfindex();
    options.ns.devices.set(options.name, this);
  }

  /** Whether the other end is there. A veth needs both ends up. */
  get carrier(): boolean {
    return true;
  }

  /** Tells the subsystems that the device exists; the last line of making one. Mirrors register_netdevice(). */
  register(): this {
    this.ns.notify("register", this);
    return this;
  }

  /** Takes the device into another namespace, down and without its addresses; its index stays if it is free there. Mirrors dev_change_net_namespace(). */
  move(ns: NetworkNamespace, name: string): void {
    this.unregister();
    if ([...ns.devices.values()].some((other) => other.ifindex === this.ifindex))
      this.ifindex = ns.allocateIfindex();
    else ns.reserveIfindex(this.ifindex);
    this.ns = ns;
    this.name = name;
    this.wasUp = false;
    ns.devices.set(name, this);
    this.register();
  }

  /** Another name for the same device; its knobs go with it. Mirrors net/core/dev.c:dev_change_name(). */
  rename(name: string): void {
    const { devices, sysctls } = this.ns;
    const all = [...devices.values()];
    sysctls.renameDevice(this.name, name);
    this.name = name;
    devices.clear();
    for (const dev of all) devices.set(dev.name, dev);
  }

  /** Takes the device down and out of its namespace. Mirrors unregister_netdevice(). */
  unregister(): void {
    this.setUp(false);
    this.ns.notify("unregister", this);
    this.ns.devices.delete(this.name);
  }

  /** Takes the device out of the world, with what cannot live without it. Mirrors ndo dellink(). */
  destroy(): void {
    this.unregister();
  }

  setUp(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    if (up) this.wasUp = true;
    this.ns.notify(up ? "up" : "down", this);
  }

  /** Why the device may not have an IP address, in the words of `ip addr`. Mirrors inetaddr_validator_chain. */
  addressRefusal(_address: IpAddress): string | undefined {
    return undefined;
  }

  /** Its IP addresses are others now. Mirrors inetaddr_chain. */
  addressesChanged(): void {}

  /** Takes a frame that is to leave by this device. ENOBUFS where it finds no room, NET_XMIT_DROP. Mirrors ndo_start_xmit(). */
  abstract transmit(skb: SkBuff): SendResult;
}

/** Sends a frame out of `skb.dev`. Mirrors net/core/dev.c:__dev_queue_xmit(). */
export function devQueueXmit(skb: SkBuff, dev: NetDevice): SendResult {
  skb.dev = dev;
  if (!dev.up || !dev.carrier) {
    // Without carrier the device's queue is noop_qdisc: the sender is told nothing and no tap sees the frame.
    dev.counters.txDropped++;
    drop(skb, "QDISC_DROP", "__dev_queue_xmit");
    return undefined;
  }
  const { softirq } = dev.ns.sim;
  softirq.disable();
  const result =
    dev.qdisc === undefined
      ? startXmit(skb, dev)
      : dev.qdisc.enqueue(skb, (last) => startXmit(last, dev));
  softirq.enable();
  return result;
}

/** Mirrors net/core/dev.c:dev_hard_start_xmit(). */
function startXmit(skb: SkBuff, dev: NetDevice): SendResult {
  dev.ns.sim.trace?.(told(skb, { kind: "device", direction: "tx" }));
  dev.counters.txPackets++;
  return dev.transmit(skb);
}

/** A frame arrives at `dev`: handlers, then protocols. Mirrors net/core/dev.c:__netif_receive_skb_core(). */
export function netifReceiveSkb(skb: SkBuff, dev: NetDevice): void {
  skb.dev = dev;
  skb.ns = dev.ns;
  skb.inDev = dev;
  if (!dev.up) return drop(skb, "DEV_READY", "netif_receive_skb");
  dev.counters.rxPackets++;
  dev.ns.sim.trace?.(told(skb, { kind: "device", direction: "rx" }));
  if (dev.ingress?.(skb) === true) return;
  receiveClassified(skb, dev);
}

/** What is left to do once no filter took the frame: handlers, then protocols. */
export function receiveClassified(skb: SkBuff, dev: NetDevice): void {
  if (
    dev.vlanHandler !== undefined &&
    skb.frame.link.etherType === ETH_P_8021Q &&
    dev.vlanHandler(skb)
  ) {
    if (!skb.ended && skb.dev !== undefined) netifReceiveSkb(skb, skb.dev);
    return;
  }
  const handled = dev.rxHandler?.(skb) ?? "pass";
  if (handled === "consumed") return;
  if (handled === "another") return netifReceiveSkb(skb, skb.dev ?? dev);
  const protocol = dev.ns.protocols.get(skb.frame.link.etherType);
  if (protocol === undefined) return drop(skb, "UNHANDLED_PROTO", "__netif_receive_skb_core");
  protocol(skb);
}

/** How `dev` sees a frame's destination. Mirrors net/ethernet/eth.c:eth_type_trans(). */
export function packetTypeFor(destination: Mac, dev: NetDevice): PacketType {
  if (destination === dev.mac) return "HOST";
  if (destination === MAC_BROADCAST) return "BROADCAST";
  return isMulticastMac(destination) ? "MULTICAST" : "OTHERHOST";
}
