import type { IpAddress, Mac } from "../wire/ip.js";
import type { NetDevice } from "./device.js";
import { drop } from "./drop.js";
import { type NetworkNamespace, perNamespace } from "./namespace.js";
import type { SkBuff } from "./skbuff.js";

/** What the Internet floor does for devices that know IP addresses; it fills this in. */
export interface Internet {
  /** The addresses of a device of the namespace, of both families. */
  addressesOf: (dev: NetDevice) => readonly IpAddress[];
  /** Sends an IP packet as one of this host's own by the routes of a device, whatever its source is. */
  sendBy: (skb: SkBuff, dev: NetDevice) => void;
  /** What is known of a neighbour on a device; undefined when nothing is. Mirrors net/core/neighbour.c:neigh_lookup(). */
  neighbourOf: (dev: NetDevice, address: IpAddress) => KnownNeighbour | undefined;
  joinGroup: (dev: NetDevice, group: IpAddress) => void;
  leaveGroup: (dev: NetDevice, group: IpAddress) => void;
}

export interface KnownNeighbour {
  /** MAC_ZERO while it is asked for. */
  readonly mac: Mac;
  /** It was heard of lately, or was told by hand. Mirrors NUD_CONNECTED. */
  readonly isConnected: boolean;
}

/** Without an Internet floor there are no addresses, and no packet is sent. */
export const internet: (ns: NetworkNamespace) => Internet = perNamespace(() => ({
  addressesOf: () => [],
  sendBy: (skb) => drop(skb, "NOT_SPECIFIED", "ipvlan_process_outbound"),
  neighbourOf: () => undefined,
  joinGroup: () => undefined,
  leaveGroup: () => undefined,
}));
