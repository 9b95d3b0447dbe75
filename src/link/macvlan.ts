import {
  devQueueXmit,
  netifReceiveSkb,
  NetDevice,
  packetTypeFor,
  type RxResult,
} from "../core/device.js";
import { drop } from "../core/drop.js";
import { type DeviceNotice, type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { microseconds } from "../sim/time.js";
import { frameLength } from "../wire/frame.js";
import { isMulticastMac, type Mac, MAC_BROADCAST } from "../wire/ip.js";
import { fitsMtu } from "./mtu.js";
import { scrub } from "./veth.js";

/** Who of the children may talk to each other, and how. Mirrors enum macvlan_mode. */
export const MACVLAN_MODES = ["private", "vepa", "bridge", "passthru"] as const;
export type MacvlanMode = (typeof MACVLAN_MODES)[number];

export interface MacvlanOptions {
  readonly name: string;
  readonly ns: NetworkNamespace;
  readonly mac: Mac;
  readonly lower: NetDevice;
  readonly mode: MacvlanMode;
}

/** A device with a MAC address of its own on another device's wire. Mirrors drivers/net/macvlan.c. */
export class Macvlan extends NetDevice {
  override readonly kind = "macvlan";
  readonly lower: NetDevice;
  readonly mode: MacvlanMode;
  readonly #port: MacvlanPort;

  constructor({ name, ns, mac, lower, mode }: MacvlanOptions) {
    super({ name, ns, mac, mtu: lower.mtu });
    this.lower = lower;
    this.mode = mode;
    this.#port = macvlanPorts(lower.ns).of(lower);
    this.#port.children.push(this);
  }

  /** It has carrier while the device below has. Mirrors netif_stacked_transfer_operstate(). */
  override get carrier(): boolean {
    return this.lower.up && this.lower.carrier;
  }

  /** Whether another device on the wire has this address: then it does not come up. Mirrors macvlan_addr_busy(). */
  get addressBusy(): boolean {
    if (this.mode === "passthru") return false;
    if (this.mac === this.lower.mac) return true;
    return this.#port.children.some(
      (other) => other !== this && other.up && other.mac === this.mac,
    );
  }

  override destroy(): void {
    super.destroy();
    macvlanPorts(this.lower.ns).leave(this);
  }

  /** Mirrors drivers/net/macvlan.c:macvlan_queue_xmit(). */
  override transmit(skb: SkBuff): void {
    const { destination } = skb.frame.link;
    if (this.mode === "bridge") {
      if (isMulticastMac(destination)) this.#port.broadcast(skb, this, ["bridge"]);
      else if (this.#port.find(destination)?.mode === "bridge") return this.#toSibling(skb);
    }
    skb.ns = this.lower.ns;
    devQueueXmit(skb, this.lower);
  }

  /** It turns round at the device below, where its taps see it come in. Mirrors net/core/dev.c:dev_forward_skb(). */
  #toSibling(skb: SkBuff): void {
    const { lower } = this;
    if (!lower.up || !fitsMtu(skb.frame, lower.mtu))
      return drop(skb, "NOT_SPECIFIED", "__dev_forward_skb2");
    scrub(skb, lower.ns !== this.ns);
    skb.ns = lower.ns;
    lower.ns.sim.queue.after(microseconds(0), `${lower.name} rx`, () => {
      skb.packetType = packetTypeFor(skb.frame.link.destination, lower);
      netifReceiveSkb(skb, lower);
    });
  }
}

/** One device that others are on top of. Mirrors struct macvlan_port. */
export class MacvlanPort {
  readonly lower: NetDevice;
  readonly children: Macvlan[] = [];

  constructor(lower: NetDevice) {
    this.lower = lower;
    lower.rxHandler = (skb) => this.#receive(skb);
  }

  /** The child with that address that is up. Mirrors macvlan_hash_lookup(). */
  find(mac: Mac): Macvlan | undefined {
    return this.children.find((child) => child.up && child.mac === mac);
  }

  /** Mirrors drivers/net/macvlan.c:macvlan_handle_frame(). */
  #receive(skb: SkBuff): RxResult {
    const { destination, source } = skb.frame.link;
    if (isMulticastMac(destination)) return this.#receiveGroup(skb, this.find(source));
    const [only] = this.children;
    const child = only?.mode === "passthru" ? only : this.find(destination);
    if (child === undefined) return "pass";
    if (!child.up) {
      drop(skb, "NOT_SPECIFIED", "macvlan_handle_frame");
      return "consumed";
    }
    skb.dev = child;
    skb.packetType = "HOST";
    child.counters.rxBytes += frameLength(skb.frame);
    return "another";
  }

  /** Children get copies, later; the device below gets the frame itself. Differs: every child takes every multicast group. */
  #receiveGroup(skb: SkBuff, from: Macvlan | undefined): RxResult {
    if (from?.mode === "private" || from?.mode === "passthru") {
      skb.packetType = groupType(skb);
      this.lower.ns.sim.queue.after(microseconds(0), `${from.name} rx`, () =>
        netifReceiveSkb(skb, from),
      );
      return "consumed";
    }
    if (from === undefined) this.broadcast(skb, undefined, MACVLAN_MODES);
    else this.broadcast(skb, from, from.mode === "vepa" ? ["vepa", "bridge"] : ["vepa"]);
    return "pass";
  }

  /** A copy for every child of these modes that is up, except the sender. Mirrors macvlan_broadcast(). */
  broadcast(skb: SkBuff, from: Macvlan | undefined, modes: readonly MacvlanMode[]): void {
    for (const child of this.children) {
      if (child === from || !child.up || !modes.includes(child.mode)) continue;
      const copy = cloneSkb(skb, "macvlan broadcast");
      if (from !== undefined) scrub(copy, child.ns !== from.ns);
      copy.ns = child.ns;
      copy.dev = child;
      copy.packetType = groupType(skb);
      this.lower.ns.sim.queue.after(microseconds(0), `${child.name} rx`, () =>
        netifReceiveSkb(copy, child),
      );
    }
  }
}

function groupType({ frame }: SkBuff): "BROADCAST" | "MULTICAST" {
  return frame.link.destination === MAC_BROADCAST ? "BROADCAST" : "MULTICAST";
}

/** The devices of one namespace that have others on top. */
export class MacvlanPorts {
  readonly #ports = new Map<NetDevice, MacvlanPort>();

  /** The port on a device, made when it is the first. */
  of(lower: NetDevice): MacvlanPort {
    const port = this.#ports.get(lower) ?? new MacvlanPort(lower);
    this.#ports.set(lower, port);
    return port;
  }

  /** The port on a device, if it has one. */
  find(lower: NetDevice): MacvlanPort | undefined {
    return this.#ports.get(lower);
  }

  /** A child goes; the last one takes the port with it. */
  leave(child: Macvlan): void {
    const port = this.#ports.get(child.lower);
    if (port === undefined) return;
    port.children.splice(port.children.indexOf(child), 1);
    if (port.children.length > 0) return;
    child.lower.rxHandler = undefined;
    this.#ports.delete(child.lower);
  }

  /** Mirrors drivers/net/macvlan.c:macvlan_device_event(). */
  lowerChanged(notice: DeviceNotice, lower: NetDevice): void {
    for (const child of [...(this.#ports.get(lower)?.children ?? [])]) {
      if (notice === "unregister") child.destroy();
      else if (notice === "up" || notice === "down" || notice === "carrier") {
        if (child.up) child.ns.notify("carrier", child);
      } else if (notice === "mtu" && child.mtu > lower.mtu) {
        child.mtu = lower.mtu;
        child.ns.notify("mtu", child);
      }
    }
  }
}

export const macvlanPorts: (ns: NetworkNamespace) => MacvlanPorts = perNamespace(
  () => new MacvlanPorts(),
);
