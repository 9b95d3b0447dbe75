import { devQueueXmit } from "../core/device.js";
import { drop } from "../core/drop.js";
import { internet } from "../core/internet.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { told } from "../core/trace.js";
import { microseconds } from "../sim/time.js";
import { formatIp, isMulticastMac, MAC_ZERO } from "../wire/ip.js";
import { forwardSkb } from "./forward-skb.js";
import type { Ipvlan } from "./ipvlan.js";
import { ipvlanAddress } from "./ipvlan-address.js";
import { scrub } from "./veth.js";

/** What a child sends. Mirrors drivers/net/ipvlan/ipvlan_core.c:ipvlan_queue_xmit(). */
export function ipvlanTransmit(skb: SkBuff, dev: Ipvlan): void {
  if (dev.port.mode === "l2") transmitLayer2(skb, dev);
  else transmitLayer3(skb, dev);
}

/** The child has found the neighbour. Mirrors ipvlan_xmit_mode_l2(). */
function transmitLayer2(skb: SkBuff, dev: Ipvlan): void {
  const { source, destination } = skb.frame.link;
  const { lower, port } = dev;
  if (port.flag !== "vepa" && destination === source) {
    if (!toSibling(skb, dev, "ipvlan_xmit_mode_l2")) forwardSkb(skb, lower);
    return;
  }
  if (isMulticastMac(destination)) {
    scrub(skb, true);
    for (const child of port.children)
      if (child !== dev && child.up) forwardSkb(cloneSkb(skb, "ipvlan multicast"), child);
    lower.ns.sim.queue.after(microseconds(0), `${lower.name} ipvlan work`, () => {
      skb.ns = lower.ns;
      devQueueXmit(skb, lower);
    });
    return;
  }
  skb.ns = lower.ns;
  devQueueXmit(skb, lower);
}

/** The namespace of the device below finds the way: its routes, its OUTPUT and POSTROUTING. Mirrors ipvlan_xmit_mode_l3() and ipvlan_process_outbound(). */
function transmitLayer3(skb: SkBuff, dev: Ipvlan): void {
  const { lower, port } = dev;
  if (port.flag !== "vepa" && toSibling(skb, dev, "ipvlan_xmit_mode_l3")) return;
  const { link } = skb.frame;
  scrub(skb, lower.ns !== dev.ns);
  skb.ns = lower.ns;
  skb.dev = lower;
  if (isMulticastMac(link.destination))
    return drop(skb, "NOT_SPECIFIED", "ipvlan_process_outbound");
  skb.frame = { ...skb.frame, link: { ...link, source: MAC_ZERO, destination: MAC_ZERO } };
  internet(lower.ns).sendBy(skb, lower);
}

/** Whether a child has the destination: then the frame is given to it, or by a private port to nobody. */
function toSibling(skb: SkBuff, dev: Ipvlan, where: string): boolean {
  const { port } = dev;
  const address = ipvlanAddress(skb.frame, "destination");
  const child = port.find(address);
  if (address === undefined || child === undefined) return false;
  const isPrivate = port.flag === "private";
  const owner = `${formatIp(address)} is an address of ${child.name}`;
  dev.ns.sim.trace?.(
    told(skb, {
      kind: "bridge",
      bridge: dev.lower.name,
      port: dev.name,
      action: isPrivate ? "refuse" : "forward",
      to: [child.name],
      why: isPrivate ? `${owner}, and the ipvlans of ${dev.lower.name} are private` : owner,
    }),
  );
  if (isPrivate) drop(skb, "NOT_SPECIFIED", where);
  else forwardSkb(skb, child);
  return true;
}
