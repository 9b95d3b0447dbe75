import { netifReceiveSkb, packetTypeFor, type RxResult } from "../core/device.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { microseconds } from "../sim/time.js";
import { frameLength } from "../wire/frame.js";
import { isMulticastMac } from "../wire/ip.js";
import type { IpvlanPort } from "./ipvlan.js";
import { ipvlanAddress } from "./ipvlan-address.js";
import { scrub } from "./veth.js";

/** What arrives at a device with ipvlans on top. Mirrors drivers/net/ipvlan/ipvlan_core.c:ipvlan_handle_frame(). */
export function ipvlanReceive(skb: SkBuff, port: IpvlanPort): RxResult {
  if (port.mode === "l3s") return "pass";
  if (port.mode === "l2" && isMulticastMac(skb.frame.link.destination)) {
    if (isExternal(skb, port)) giveToAll(skb, port);
    return "pass";
  }
  const child = port.find(ipvlanAddress(skb.frame, "destination"));
  if (child === undefined) return "pass";
  skb.dev = child;
  child.counters.rxBytes += frameLength(skb.frame);
  return "another";
}

/** Whether a group's frame comes from outside: one that a switch sent back is not shown to the children again. Mirrors ipvlan_external_frame(). */
function isExternal({ frame }: SkBuff, port: IpvlanPort): boolean {
  if (frame.link.source !== port.lower.mac) return true;
  return port.find(ipvlanAddress(frame, "source")) === undefined;
}

/** Children get copies, later; the device below gets the frame itself. Differs: every child takes every group. Mirrors ipvlan_process_multicast(). */
function giveToAll(skb: SkBuff, port: IpvlanPort): void {
  for (const child of port.children) {
    if (!child.up) continue;
    const copy = cloneSkb(skb, "ipvlan multicast");
    scrub(copy, true);
    copy.ns = child.ns;
    copy.dev = child;
    copy.packetType = packetTypeFor(copy.frame.link.destination, child);
    child.counters.rxBytes += frameLength(copy.frame);
    child.ns.sim.queue.after(microseconds(0), `${child.name} rx`, () =>
      netifReceiveSkb(copy, child),
    );
  }
}
