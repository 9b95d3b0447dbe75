import { NetDevice } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { ETH_HLEN } from "../wire/ethernet.js";
import { type Mac, MAC_ZERO } from "../wire/ip.js";
import { allocateMac } from "./mac.js";

/** What a program reads from the device: IP packets (tun) or Ethernet frames (tap). */
export type TunMode = "tun" | "tap";

/** How a device was asked for with `ip tuntap add`. Mirrors IFF_NO_PI, IFF_ONE_QUEUE, IFF_MULTI_QUEUE and IFF_VNET_HDR. */
export interface TunSettings {
  readonly mode: TunMode;
  readonly packetInfo: boolean;
  readonly oneQueue: boolean;
  readonly multiQueue: boolean;
  readonly vnetHeader: boolean;
  /** Who may open it; undefined for everybody with the right. */
  readonly user: number | undefined;
  readonly group: number | undefined;
}

export interface TunOptions {
  readonly name: string;
  readonly ns: NetworkNamespace;
  readonly mac?: Mac | undefined;
  readonly settings: TunSettings;
}

/**
 * A device whose other end is a program that reads and writes. No program is modelled, so nobody has it open: it has no
 * carrier, and what is sent by it is dropped. Mirrors drivers/net/tun.c.
 */
export class Tun extends NetDevice {
  override readonly kind = "tun";
  readonly settings: TunSettings;

  constructor({ name, ns, mac, settings }: TunOptions) {
    const isTap = settings.mode === "tap";
    super({ name, ns, mac: isTap ? (mac ?? allocateMac(ns.sim)) : MAC_ZERO, mtu: 1500 });
    this.settings = settings;
    this.isPointToPoint = !isTap;
    this.noArp = !isTap;
  }

  /** A frame has to fit into 65,535 bytes. */
  get maxMtu(): number {
    return this.isPointToPoint ? 65_535 : 65_535 - ETH_HLEN;
  }

  override get carrier(): boolean {
    return false;
  }

  /** Reached by nobody while there is no carrier. Mirrors drivers/net/tun.c:tun_net_xmit(). */
  override transmit(skb: SkBuff): undefined {
    this.counters.txDropped++;
    drop(skb, "DEV_READY", "tun_net_xmit");
  }
}
