import { devQueueXmit, NetDevice, packetTypeFor } from "../core/device.js";
import { drop } from "../core/drop.js";
import { type DeviceNotice, type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { SendResult } from "../core/errno.js";
import type { SkBuff } from "../core/skbuff.js";
import { ETH_P_8021Q } from "../wire/ethernet.js";
import { frameLength } from "../wire/frame.js";
import { tagFrame, untagFrame, vlanOf } from "../wire/vlan.js";

export interface VlanOptions {
  readonly name: string;
  readonly ns: NetworkNamespace;
  readonly lower: NetDevice;
  /** 0..4094. */
  readonly id: number;
}

/** One VLAN of a device: what leaves by it is tagged, what comes tagged comes out of it. Mirrors net/8021q/vlan_dev.c. */
export class Vlan extends NetDevice {
  override readonly kind = "vlan";
  readonly lower: NetDevice;
  readonly id: number;
  /** The address of the device below is its own, until somebody sets another. */
  followsMac = true;

  constructor({ name, ns, lower, id }: VlanOptions) {
    super({ name, ns, mac: lower.mac, mtu: lower.mtu });
    this.lower = lower;
    this.id = id;
    this.noArp = lower.noArp;
    vlanGroups(lower.ns).add(this);
  }

  override get carrier(): boolean {
    return this.lower.up && this.lower.carrier;
  }

  override destroy(): void {
    super.destroy();
    vlanGroups(this.lower.ns).remove(this);
  }

  /** Mirrors net/8021q/vlan_dev.c:vlan_dev_hard_start_xmit(). */
  override transmit(skb: SkBuff): SendResult {
    skb.frame = tagFrame(skb.frame, this.id);
    skb.ns = this.lower.ns;
    return devQueueXmit(skb, this.lower);
  }
}

/** The VLANs of one namespace's devices. Mirrors struct vlan_group. */
export class VlanGroups {
  readonly #vlans = new Map<NetDevice, Map<number, Vlan>>();

  add(dev: Vlan): void {
    const { lower } = dev;
    const group = this.#vlans.get(lower) ?? new Map<number, Vlan>();
    this.#vlans.set(lower, group);
    group.set(dev.id, dev);
    lower.vlanHandler = (skb) => receive(skb, lower, group);
  }

  remove({ lower, id }: Vlan): void {
    const group = this.#vlans.get(lower);
    group?.delete(id);
    if (group?.size !== 0) return;
    lower.vlanHandler = undefined;
    this.#vlans.delete(lower);
  }

  find(lower: NetDevice, id: number): Vlan | undefined {
    return this.#vlans.get(lower)?.get(id);
  }

  /** Mirrors net/8021q/vlan.c:vlan_device_event(). */
  lowerChanged(notice: DeviceNotice, lower: NetDevice): void {
    for (const dev of [...(this.#vlans.get(lower)?.values() ?? [])]) {
      if (notice === "unregister") dev.destroy();
      else if (notice === "up" || notice === "down") dev.setUp(lower.up);
      else if (notice === "carrier" && dev.up) dev.ns.notify("carrier", dev);
      else if (notice === "address" && dev.followsMac) {
        dev.mac = lower.mac;
        dev.ns.notify("address", dev);
      } else if (notice === "mtu" && dev.mtu > lower.mtu) {
        dev.mtu = lower.mtu;
        dev.ns.notify("mtu", dev);
      }
    }
  }
}

export const vlanGroups: (ns: NetworkNamespace) => VlanGroups = perNamespace(
  () => new VlanGroups(),
);

/** A tagged frame goes to its VLAN's device. False when there is none. Mirrors net/8021q/vlan_core.c:vlan_do_receive(). */
function receive(skb: SkBuff, lower: NetDevice, group: ReadonlyMap<number, Vlan>): boolean {
  const dev = group.get(vlanOf(skb.frame) ?? -1);
  const frame = dev === undefined ? undefined : untagFrame(skb.frame);
  if (dev === undefined || frame === undefined) return false;
  if (!dev.up) {
    drop(skb, "NOT_SPECIFIED", "vlan_do_receive");
    return true;
  }
  skb.frame = frame;
  skb.dev = dev;
  if (skb.packetType === "OTHERHOST" || lower.mac !== dev.mac)
    skb.packetType = packetTypeFor(frame.link.destination, dev);
  dev.counters.rxBytes += frameLength(frame);
  return true;
}

/** What is left of a tagged frame when no device has its VLAN: somebody else's, unless the tag only tells a priority. Mirrors the end of __netif_receive_skb_core(). */
export function receiveUnknownVlan(skb: SkBuff): void {
  const id = vlanOf(skb.frame);
  const frame = untagFrame(skb.frame);
  const protocol = frame === undefined ? undefined : skb.ns.protocols.get(frame.link.etherType);
  if (frame === undefined || protocol === undefined || frame.link.etherType === ETH_P_8021Q)
    return drop(skb, "UNHANDLED_PROTO", "__netif_receive_skb_core");
  skb.frame = frame;
  if (id !== 0) skb.packetType = "OTHERHOST";
  protocol(skb);
}
