import { netifReceiveSkb, type NetDevice, packetTypeFor } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { frameLength } from "../wire/frame.js";
import { fitsMtu } from "./mtu.js";
import { scrub } from "./veth.js";

/** A frame turns round without a wire: `dev` receives it. Mirrors net/core/dev.c:dev_forward_skb(). */
export function forwardSkb(skb: SkBuff, dev: NetDevice): void {
  if (!dev.up || !fitsMtu(skb.frame, dev.mtu)) {
    dev.counters.rxDropped++;
    return drop(skb, "NOT_SPECIFIED", "__dev_forward_skb2");
  }
  scrub(skb, dev.ns !== skb.ns);
  skb.ns = dev.ns;
  skb.priority = 0;
  dev.ns.sim.softirq.netifRx(() => {
    skb.packetType = packetTypeFor(skb.frame.link.destination, dev);
    dev.counters.rxBytes += frameLength(skb.frame);
    netifReceiveSkb(skb, dev);
  });
}
