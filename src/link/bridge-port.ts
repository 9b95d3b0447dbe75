import type { NetDevice } from "../core/device.js";
import type { BridgeDevice } from "./bridge.js";
import { BridgeVlans } from "./bridge-vlans.js";
import type { PortMulticast } from "./multicast.js";
import { StpPort } from "./stp-port.js";

/** Mirrors include/uapi/linux/if_bridge.h: BR_STATE_*, in their numbers. */
export const PORT_STATES = ["disabled", "listening", "learning", "forwarding", "blocking"] as const;
export type PortState = (typeof PORT_STATES)[number];

/** The switches of a port that are modelled, by the words of `bridge link set`. */
export interface PortFlags {
  /** Send frames back out of the port they came in by. */
  hairpin: boolean;
  /** No traffic to other isolated ports. */
  isolated: boolean;
  learning: boolean;
  /** Send unknown unicast there. */
  flood: boolean;
  mcast_flood: boolean;
  bcast_flood: boolean;
  /** One leave is enough: nobody else is behind the port. */
  fastleave: boolean;
}

/** One device of a bridge. Mirrors struct net_bridge_port. */
export class BridgePort {
  readonly bridge: BridgeDevice;
  readonly dev: NetDevice;
  /** Counts from 1. */
  readonly number: number;
  readonly flags: PortFlags = {
    hairpin: false,
    isolated: false,
    learning: true,
    flood: true,
    mcast_flood: true,
    bcast_flood: true,
    fastleave: false,
  };
  /** They count while the bridge filters VLANs. */
  readonly vlans: BridgeVlans = new BridgeVlans();
  /** Spanning tree decides; while it is off `bridge link set … state` may. */
  state: PortState = "disabled";
  readonly stp: StpPort;
  readonly multicast: PortMulticast;

  constructor(bridge: BridgeDevice, dev: NetDevice, number: number) {
    this.bridge = bridge;
    this.dev = dev;
    this.number = number;
    this.stp = new StpPort(this, bridge.stp);
    this.multicast = bridge.multicast.makePort(() => this, dev.name);
  }
}
