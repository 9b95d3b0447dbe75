import type { NetDevice } from "./device.js";
import { type NetworkNamespace, perNamespace } from "./namespace.js";
import type { SkBuff } from "./skbuff.js";

/** Where br_netfilter and the bridges of a namespace meet without knowing each other. Mirrors struct nf_br_ops. */
export interface BridgeHooks {
  /** Takes a frame that waited for a neighbour and goes on bridged; true when it did. Set by br_netfilter. */
  transmit: ((skb: SkBuff) => boolean) | undefined;
  /** The bridges whose own `nf_call_iptables` is on. */
  readonly callIptables: Set<NetDevice>;
  /** The same of `nf_call_ip6tables`. */
  readonly callIp6tables: Set<NetDevice>;
}

export const bridgeHooks: (ns: NetworkNamespace) => BridgeHooks = perNamespace(() => ({
  transmit: undefined,
  callIptables: new Set<NetDevice>(),
  callIp6tables: new Set<NetDevice>(),
}));

/** Whether a device is a bridge, for those who may not know its class. Mirrors netif_is_bridge_master(). */
export function isBridge(dev: NetDevice | undefined): dev is NetDevice {
  return dev?.kind === "bridge";
}
