import { bridgeHooks } from "../core/bridge-hooks.js";
import { NetDevice } from "../core/device.js";
import { type DeviceNotice, type NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { seconds } from "../sim/time.js";
import { type Mac, MAC_ZERO } from "../wire/ip.js";
import { bridgeTransmit } from "./bridge-forward.js";
import { bridgeHandleFrame } from "./bridge-input.js";
import { BridgePort } from "./bridge-port.js";
import { BridgeVlans } from "./bridge-vlans.js";
import { Fdb } from "./fdb.js";
import { allocateMac } from "./mac.js";
import { BridgeMulticast } from "./multicast.js";
import { SpanningTree } from "./stp.js";

export interface BridgeOptions {
  readonly name: string;
  readonly ns: NetworkNamespace;
  /** Without one the bridge takes the lowest address of its ports. */
  readonly mac?: Mac | undefined;
}

/** A bridge: the device that its host sees, and the ports behind it. Mirrors net/bridge. */
export class BridgeDevice extends NetDevice {
  override readonly kind = "bridge";
  readonly fdb: Fdb;
  readonly stp: SpanningTree;
  readonly multicast: BridgeMulticast;
  /** Bits of 01:80:c2:00:00:0X that are forwarded though they are link-local. */
  groupForwardMask = 0;
  /** The VLANs that the bridge's own host is in, while it filters. */
  readonly vlans: BridgeVlans = new BridgeVlans();
  #vlanFiltering = false;
  #ports: readonly BridgePort[] = [];
  #macIsSet: boolean;
  #mtuIsSet = false;
  #carrier = true;
  /** Carrier went or came at least once: until then `ip link` shows the state UNKNOWN. */
  carrierChanged = false;

  constructor(options: BridgeOptions) {
    const mac = options.mac ?? allocateMac(options.ns.sim);
    super({ name: options.name, ns: options.ns, mac, mtu: 1500 });
    this.#macIsSet = options.mac !== undefined;
    this.stp = new SpanningTree(this);
    this.multicast = new BridgeMulticast(this);
    if (this.#macIsSet) this.stp.selectStates();
    this.fdb = new Fdb(options.ns.sim.queue, seconds(300));
    this.fdb.addOwn(mac, undefined);
  }

  /** The newest port first: the order of the kernel's list, and so of flooding. */
  get ports(): readonly BridgePort[] {
    return this.#ports;
  }

  /** At first without ports, unless it was made with an address; then while a port forwards. */
  override get carrier(): boolean {
    return this.#carrier;
  }

  portOf(dev: NetDevice): BridgePort | undefined {
    return this.#ports.find((port) => port.dev === dev);
  }

  /** Mirrors net/bridge/br_if.c:br_add_if(). The caller has checked that the device may become a port. */
  addPort(dev: NetDevice): BridgePort {
    const taken = new Set(this.#ports.map((port) => port.number));
    let number = 1;
    while (taken.has(number)) number++;
    const port = new BridgePort(this, dev, number);
    this.#ports = [port, ...this.#ports];
    dev.master = this;
    dev.rxHandler = (skb) => bridgeHandleFrame(skb, port);
    this.fdb.addOwn(dev.mac, port);
    this.#portsChanged();
    return port;
  }

  /** Mirrors net/bridge/br_if.c:br_del_if(). */
  removePort(dev: NetDevice): void {
    const port = this.portOf(dev);
    if (port === undefined) return;
    port.stp.disable();
    this.#ports = this.#ports.filter((other) => other !== port);
    dev.master = undefined;
    dev.rxHandler = undefined;
    this.fdb.flushPort(port, true);
    this.multicast.groups.flushPort(port, true);
    this.#portsChanged();
  }

  /** `ip link set br0 address …`: the address no longer follows the ports. */
  setMac(mac: Mac): void {
    this.#macIsSet = true;
    this.#changeMac(mac);
  }

  /** `ip link set br0 mtu …`: the MTU no longer follows the ports. */
  setMtu(mtu: number): void {
    this.#mtuIsSet = true;
    this.mtu = mtu;
    this.ns.notify("mtu", this);
  }

  /** `vlan_filtering`: frames belong to VLANs, and only members take them. */
  get vlanFiltering(): boolean {
    return this.#vlanFiltering;
  }

  /** Mirrors net/bridge/br_vlan.c:br_vlan_filter_toggle(). */
  setVlanFiltering(on: boolean): void {
    this.#vlanFiltering = on;
    if (on) this.#ownAddresses();
  }

  /** Puts a port, or with undefined the host, into a VLAN. Mirrors net/bridge/br_vlan.c:nbp_vlan_add() and br_vlan_add(). */
  addVlan(
    port: BridgePort | undefined,
    vid: number,
    flags: { readonly pvid: boolean; readonly untagged: boolean },
  ): void {
    (port ?? this).vlans.add(vid, flags);
    if (this.#vlanFiltering) this.#ownAddresses();
  }

  /** False when it was in no such VLAN. Mirrors net/bridge/br_vlan.c:nbp_vlan_delete() and br_vlan_delete(). */
  removeVlan(port: BridgePort | undefined, vid: number): boolean {
    this.fdb.flushVlan(port, vid);
    return (port ?? this).vlans.remove(vid);
  }

  override setUp(up: boolean): void {
    if (this.up === up) return;
    super.setUp(up);
    if (up) this.stp.bridgeUp();
    if (up) this.multicast.opened();
    else this.multicast.stopped();
    for (const port of this.#ports) this.#followDevice(port);
    if (!up) this.stp.bridgeDown();
  }

  /** Whether bridged packets are shown to iptables, whatever the sysctl says. */
  get callsIptables(): boolean {
    return bridgeHooks(this.ns).callIptables.has(this);
  }

  /** `nf_call_iptables` of this bridge alone; OR-ed with the sysctl. */
  setCallIptables(on: boolean): void {
    const { callIptables } = bridgeHooks(this.ns);
    if (on) callIptables.add(this);
    else callIptables.delete(this);
  }

  /** The same of `nf_call_ip6tables`. */
  setCallIp6tables(on: boolean): void {
    const { callIp6tables } = bridgeHooks(this.ns);
    if (on) callIp6tables.add(this);
    else callIp6tables.delete(this);
  }

  override destroy(): void {
    this.setCallIptables(false);
    this.setCallIp6tables(false);
    for (const port of this.#ports) this.removePort(port.dev);
    super.destroy();
  }

  /** Mirrors net/bridge/br_device.c:br_dev_xmit(). */
  override transmit(skb: SkBuff): undefined {
    if (bridgeHooks(this.ns).transmit?.(skb) === true) return;
    bridgeTransmit(skb, this);
  }

  /** A port's device tells of a change. Mirrors net/bridge/br.c:br_device_event(). */
  portChanged(notice: DeviceNotice, dev: NetDevice): void {
    const port = this.portOf(dev);
    if (port === undefined) return;
    switch (notice) {
      case "unregister":
        return this.removePort(dev);
      case "up":
      case "down":
      case "carrier":
        return this.#followDevice(port);
      case "address":
        this.fdb.removeOwn(port);
        return this.#portsChanged();
      case "mtu":
        return this.#portsChanged();
      case "register":
        return;
    }
  }

  /** Mirrors net/bridge/br_netlink.c:br_set_port_state(). */
  setPortState(port: BridgePort, state: BridgePort["state"]): void {
    port.state = state;
    if (state === "disabled") this.fdb.flushPort(port, false);
    this.stp.selectStates();
  }

  #followDevice(port: BridgePort): void {
    const works = this.up && port.dev.up && port.dev.carrier;
    if (works === (port.state !== "disabled")) return;
    if (works) port.stp.enable();
    else port.stp.disable();
  }

  #portsChanged(): void {
    if (!this.#macIsSet) this.#changeMac(lowestMac(this.#ports));
    const mtu =
      this.#ports.length === 0 ? 1500 : Math.min(...this.#ports.map((port) => port.dev.mtu));
    if (!this.#mtuIsSet && mtu !== this.mtu) {
      this.mtu = mtu;
      this.ns.notify("mtu", this);
    }
    for (const port of this.#ports.toReversed()) {
      this.fdb.addOwn(port.dev.mac, port);
      this.#followDevice(port);
    }
    this.fdb.addOwn(this.mac, undefined);
    if (this.#vlanFiltering) this.#ownAddresses();
  }

  /** Own addresses are known in every VLAN that their device is in. */
  #ownAddresses(): void {
    for (const port of this.#ports.toReversed())
      for (const vid of port.vlans.ids()) this.fdb.addOwn(port.dev.mac, port, vid);
    for (const vid of this.vlans.ids()) this.fdb.addOwn(this.mac, undefined, vid);
  }

  #changeMac(mac: Mac): void {
    if (mac === this.mac) return;
    const wasRoot = this.stp.isRoot;
    const before = this.mac;
    this.mac = mac;
    this.fdb.removeOwn(undefined);
    this.fdb.addOwn(mac, undefined);
    if (this.#vlanFiltering) this.#ownAddresses();
    this.stp.renamed(before, wasRoot);
    this.ns.notify("address", this);
  }

  /** The bridge has carrier while a port forwards: for spanning tree alone. Mirrors netif_carrier_on() and netif_carrier_off(). */
  setCarrier(carrier: boolean): void {
    if (carrier === this.#carrier) return;
    this.#carrier = carrier;
    this.carrierChanged = true;
    if (this.up) this.ns.notify("carrier", this);
  }
}

function lowestMac(ports: readonly BridgePort[]): Mac {
  return (
    ports.reduce<Mac | undefined>(
      (low, { dev }) => (low === undefined || dev.mac < low ? dev.mac : low),
      undefined,
    ) ?? MAC_ZERO
  );
}
