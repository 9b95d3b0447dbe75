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
import type { SendResult } from "../core/errno.js";
import type { SkBuff } from "../core/skbuff.js";
import { microseconds } from "../sim/time.js";
import { frameLength } from "../wire/frame.js";
import { isMulticastMac, type Mac, MAC_BROADCAST } from "../wire/ip.js";
import { fitsMtu } from "./mtu.js";
import { scrub } from "./veth.js";

/** Who of the children may talk to each other, and how. Mirrors enum macvlan_mode. */
export const MACVLAN_MODES = ["private", "vepa", "bridge", "passthru", "source"] as const;
export type MacvlanMode = (typeof MACVLAN_MODES)[number];
/** Who hears a frame to everybody from outside: a child of mode `source` only from its senders. */
const OPEN_MODES: readonly MacvlanMode[] = ["private", "vepa", "bridge", "passthru"];

/** `nopromisc`: the device below of a `passthru` one need not hear everything. `nodst`: what a `source` one takes is for it alone. */
export const MACVLAN_FLAGS = ["nopromisc", "nodst"] as const;
export type MacvlanFlag = (typeof MACVLAN_FLAGS)[number];

const MACVLAN_DEFAULT_BC_QUEUE_LEN = 1000;

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
  mode: MacvlanMode;
  flags: ReadonlySet<MacvlanFlag> = new Set();
  /** How many frames to many may wait, as it was asked for; the device below has the greatest of all. Differs: none wait. */
  queueLength: number = MACVLAN_DEFAULT_BC_QUEUE_LEN;
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
    return this.isTaken(this.mac);
  }

  isTaken(mac: Mac): boolean {
    if (this.mode === "passthru") return false;
    if (mac === this.lower.mac) return true;
    return this.#port.children.some((other) => other !== this && other.up && other.mac === mac);
  }

  /** How many frames to many may wait for all on this device. Mirrors macvlan_port->bc_queue_len_used. */
  get usedQueueLength(): number {
    return Math.max(...this.#port.children.map(({ queueLength }) => queueLength));
  }

  /** Whose frames a device of mode `source` takes, in the kernel's order: that of its hash, and there the latest first. */
  get sources(): readonly Mac[] {
    return this.#port.sources
      .filter(({ child }) => child === this)
      .map(({ mac }) => mac)
      .toSorted((a, b) => sourceHash(a) - sourceHash(b));
  }

  /** Mirrors macvlan_hash_add_source(). */
  addSource(mac: Mac): void {
    if (!this.sources.includes(mac)) this.#port.sources.unshift({ child: this, mac });
  }

  /** Takes one sender off the list, or all of them. Mirrors macvlan_hash_del_source() and macvlan_flush_sources(). */
  removeSource(mac: Mac | undefined): void {
    this.#port.sources = this.#port.sources.filter(
      (entry) => entry.child !== this || (mac !== undefined && entry.mac !== mac),
    );
  }

  override destroy(): void {
    super.destroy();
    this.removeSource(undefined);
    macvlanPorts(this.lower.ns).leave(this);
  }

  /** Mirrors drivers/net/macvlan.c:macvlan_queue_xmit(). */
  override transmit(skb: SkBuff): SendResult {
    const { destination } = skb.frame.link;
    if (this.mode === "bridge") {
      if (isMulticastMac(destination)) this.#port.broadcast(skb, this, ["bridge"]);
      else if (this.#port.find(destination)?.mode === "bridge") return this.#toSibling(skb);
    }
    skb.ns = this.lower.ns;
    return devQueueXmit(skb, this.lower);
  }

  /** It turns round at the device below, where its taps see it come in. Mirrors net/core/dev.c:dev_forward_skb(). */
  #toSibling(skb: SkBuff): undefined {
    const { lower } = this;
    if (!lower.up || !fitsMtu(skb.frame, lower.mtu)) {
      drop(skb, "NOT_SPECIFIED", "__dev_forward_skb2");
      return;
    }
    scrub(skb, lower.ns !== this.ns);
    skb.ns = lower.ns;
    lower.ns.sim.softirq.netifRx(() => {
      skb.packetType = packetTypeFor(skb.frame.link.destination, lower);
      netifReceiveSkb(skb, lower);
    });
  }
}

/** Where a sender stands among 256 chains. Mirrors macvlan_eth_hash(). */
function sourceHash(mac: Mac): number {
  let littleEndian = 0n;
  for (let rest = BigInt(mac), byte = 0; byte < 6; byte++, rest >>= 8n)
    littleEndian = (littleEndian << 8n) | (rest & 0xffn);
  return Number(BigInt.asUintN(64, (littleEndian << 16n) * GOLDEN_RATIO_64) >> 56n);
}

const GOLDEN_RATIO_64 = 0x61c8_8646_80b5_83ebn;

/** One device that others are on top of. Mirrors struct macvlan_port. */
export class MacvlanPort {
  readonly lower: NetDevice;
  readonly children: Macvlan[] = [];
  /** Senders that children of mode `source` take frames of, the latest first. Mirrors vlan_source_hash. */
  sources: { readonly child: Macvlan; readonly mac: Mac }[] = [];

  constructor(lower: NetDevice) {
    this.lower = lower;
    lower.rxHandler = (skb) => this.#receive(skb);
  }

  /** The child with that address that is up. Mirrors macvlan_hash_lookup(). */
  find(mac: Mac): Macvlan | undefined {
    return this.children.find((child) => child.up && child.mac === mac);
  }

  /**
   * How often the device is asked to hear everything: by every `passthru` child, and once for all others together, whose addresses are
   * not its own. Mirrors macvlan_open() and net/core/dev.c:__dev_set_rx_mode().
   */
  get promiscuity(): number {
    const up = this.children.filter((child) => child.up);
    const wants = up.filter(({ mode, flags }) => mode === "passthru" && !flags.has("nopromisc"));
    const hasOthers = up.some(({ mode }) => mode !== "passthru");
    return wants.length + Number(hasOthers && this.lower.up);
  }

  /** Mirrors drivers/net/macvlan.c:macvlan_handle_frame(). */
  #receive(skb: SkBuff): RxResult {
    const { destination, source } = skb.frame.link;
    if (this.#forwardSource(skb)) {
      drop(skb, "NOT_SPECIFIED", "macvlan_handle_frame");
      return "consumed";
    }
    if (isMulticastMac(destination)) return this.#receiveGroup(skb, this.find(source));
    const [only] = this.children;
    const child = only?.mode === "passthru" ? only : this.find(destination);
    if (child === undefined || child.mode === "source") return "pass";
    if (!child.up) {
      drop(skb, "NOT_SPECIFIED", "macvlan_handle_frame");
      return "consumed";
    }
    skb.dev = child;
    skb.packetType = "HOST";
    child.counters.rxBytes += frameLength(skb.frame);
    return "another";
  }

  /** Copies for the children that take this sender's frames. True when the frame itself goes no further. Mirrors macvlan_forward_source(). */
  #forwardSource(skb: SkBuff): boolean {
    const { source, destination } = skb.frame.link;
    const takers = this.sources.filter(({ mac }) => mac === source).map(({ child }) => child);
    for (const child of takers) {
      if (!child.up) continue;
      const copy = cloneSkb(skb, "macvlan source");
      copy.ns = child.ns;
      copy.dev = child;
      if (destination === child.mac) copy.packetType = "HOST";
      this.lower.ns.sim.softirq.netifRx(() => netifReceiveSkb(copy, child));
    }
    return takers.some(({ flags }) => flags.has("nodst"));
  }

  /** Children get copies, later; the device below gets the frame itself. Differs: every child takes every multicast group. */
  #receiveGroup(skb: SkBuff, from: Macvlan | undefined): RxResult {
    if (from !== undefined && from.mode !== "vepa" && from.mode !== "bridge") {
      skb.packetType = groupType(skb);
      this.lower.ns.sim.queue.after(microseconds(0), `${from.name} rx`, () =>
        netifReceiveSkb(skb, from),
      );
      return "consumed";
    }
    if (from === undefined) this.broadcast(skb, undefined, OPEN_MODES);
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
      } else if (notice === "address" && child.mode === "passthru") {
        child.mac = lower.mac;
        child.ns.notify("address", child);
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
