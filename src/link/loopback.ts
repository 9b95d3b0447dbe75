import { netifReceiveSkb, NetDevice, packetTypeFor } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { MAC_ZERO } from "../wire/ip.js";

/** `lo`: what is sent is received again, with its route and connection still attached. Mirrors drivers/net/loopback.c. */
export class Loopback extends NetDevice {
  override readonly kind = "loopback";

  constructor(ns: NetworkNamespace) {
    super({ name: "lo", ns, mac: MAC_ZERO, mtu: 65_536 });
    this.isLoopback = true;
  }

  /** Mirrors drivers/net/loopback.c:loopback_xmit(). The packet waits in the backlog and loses its socket. */
  override transmit(skb: SkBuff): undefined {
    skb.socket = undefined;
    skb.notLoopedBack = false;
    skb.packetType = packetTypeFor(skb.frame.link.destination, this);
    this.ns.sim.softirq.netifRx(() => netifReceiveSkb(skb, this));
  }
}
