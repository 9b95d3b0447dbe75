import { devQueueXmit, type NetDevice } from "../core/device.js";
import { drop, type DropReason } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import { nfHook } from "../core/hooks.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { type BridgeEvent, told } from "../core/trace.js";
import { formatMac, isMulticastMac, MAC_BROADCAST } from "../wire/ip.js";
import type { BridgeDevice } from "./bridge.js";
import type { BridgePort } from "./bridge-port.js";
import { vlanEgress, vlanIngress } from "./bridge-vlans.js";
import { fitsMtu } from "./mtu.js";
import { type Receivers, receiversOf } from "./multicast-membership.js";
import { snoop } from "./multicast-snoop.js";

/** One frame on its way through a bridge. Mirrors struct br_input_skb_cb. */
export interface BridgePass {
  readonly bridge: BridgeDevice;
  /** The port it came in by; undefined when the bridge's own host sends it. */
  readonly from: BridgePort | undefined;
  /** Also given to the bridge's host, so the frame itself must survive. */
  readonly localCopy: boolean;
  /** The frame's VLAN, its tag taken off; 0 while the bridge does not filter. */
  readonly vid: number;
}

/** What the host sends on the bridge device. Mirrors net/bridge/br_device.c:br_dev_xmit(). */
export function bridgeTransmit(skb: SkBuff, bridge: BridgeDevice): void {
  const vid = bridge.vlanFiltering ? vlanIngress(skb, bridge.vlans) : 0;
  if (vid === undefined) return;
  const pass: BridgePass = { bridge, from: undefined, localCopy: false, vid };
  const { destination } = skb.frame.link;
  if (isMulticastMac(destination) && destination !== MAC_BROADCAST) {
    const snooped = snoopFrame(skb, pass);
    if (snooped === "damaged") return drop(skb, "NOT_SPECIFIED", "br_dev_xmit");
    if (snooped !== undefined) return sendToReceivers(skb, pass, snooped, "br_dev_xmit");
  }
  const entry = isMulticastMac(destination) ? undefined : bridge.fdb.lookup(destination, vid);
  if (entry === undefined) return flood(skb, pass, "br_dev_xmit");
  forward(skb, entry.port, pass, "br_dev_xmit");
}

/** Sends a frame to the port its destination is behind. Mirrors net/bridge/br_forward.c:br_forward(). */
export function forward(
  skb: SkBuff,
  to: BridgePort | undefined,
  pass: BridgePass,
  where: string,
): void {
  const mac = formatMac(skb.frame.link.destination);
  const refusal = to === undefined ? "the address is the bridge's own" : refusalOf(to, pass);
  if (to === undefined || refusal !== undefined) {
    tellBridge(skb, pass, {
      action: "refuse",
      to: to === undefined ? [] : [to.dev.name],
      why: `${mac}: ${refusal}`,
    });
    if (!pass.localCopy) drop(skb, "NOT_SPECIFIED", where);
    return;
  }
  tellBridge(skb, pass, {
    action: "forward",
    to: [to.dev.name],
    why: `${mac} is behind ${to.dev.name}`,
  });
  sendTo(to, pass.localCopy ? cloneSkb(skb, "bridge forward") : skb, pass);
}

/** Sends a frame to every port that takes it, the newest first; the last gets the frame itself. Mirrors net/bridge/br_forward.c:br_flood(). */
export function flood(skb: SkBuff, pass: BridgePass, where: string): void {
  const ports = pass.bridge.ports.filter(
    (port) => wantsFlood(port, skb, pass) && refusalOf(port, pass) === undefined,
  );
  const why = floodReason(skb);
  const last = ports.at(-1);
  if (last === undefined) {
    const reason: DropReason = "NO_TX_TARGET";
    tellBridge(skb, pass, {
      action: pass.localCopy ? "flood" : "refuse",
      to: [],
      why: `${why}, and no other port takes it`,
    });
    if (!pass.localCopy) drop(skb, reason, where);
    return;
  }
  tellBridge(skb, pass, { action: "flood", to: ports.map((port) => port.dev.name), why });
  for (const port of ports) {
    const isLast = port === last && !pass.localCopy;
    sendTo(port, isLast ? skb : cloneSkb(skb, "bridge flood"), pass);
  }
}

/** What snooping makes of a frame to a group: who gets it, undefined for everybody. Mirrors net/bridge/br_multicast.c:br_multicast_rcv(). */
export function snoopFrame(skb: SkBuff, pass: BridgePass): Receivers | undefined | "damaged" {
  const { bridge, from, vid } = pass;
  const { multicast } = bridge;
  if (!multicast.snooping) return undefined;
  const snooped = snoop(skb, multicast, {
    port: from,
    vid,
    learned: (group) =>
      tellBridge(skb, pass, {
        action: "learn",
        to: [from?.dev.name ?? bridge.name],
        why: `${group} is wanted ${from === undefined ? `by ${bridge.name}` : `behind ${from.dev.name}`}`,
      }),
  });
  return snooped === undefined ? "damaged" : receiversOf(multicast, skb.frame, snooped, vid);
}

/** Sends a frame to those who want its group. Mirrors net/bridge/br_forward.c:br_multicast_flood(). */
export function sendToReceivers(
  skb: SkBuff,
  pass: BridgePass,
  { ports: wanted, why }: Receivers,
  where: string,
): void {
  const ports = wanted.filter((port) => refusalOf(port, pass) === undefined);
  const last = ports.at(-1);
  if (last === undefined) {
    tellBridge(skb, pass, { action: pass.localCopy ? "flood" : "refuse", to: [], why });
    if (!pass.localCopy) drop(skb, "NO_TX_TARGET", where);
    return;
  }
  tellBridge(skb, pass, { action: "forward", to: ports.map((port) => port.dev.name), why });
  for (const port of ports) {
    const isLast = port === last && !pass.localCopy;
    sendTo(port, isLast ? skb : cloneSkb(skb, "bridge multicast"), pass);
  }
}

/** Tells what a bridge decides about a frame. */
export function tellBridge(
  skb: SkBuff,
  pass: BridgePass,
  what: Pick<BridgeEvent, "action" | "to" | "why">,
): void {
  const { bridge, from } = pass;
  bridge.ns.sim.trace?.(
    told(skb, {
      kind: "bridge",
      bridge: bridge.name,
      port: from?.dev.name,
      ...what,
    }),
  );
}

/** Why a frame may not leave by a port; undefined when it may. Mirrors net/bridge/br_forward.c:should_deliver(). */
function refusalOf(to: BridgePort, { from, vid }: BridgePass): string | undefined {
  const name = to.dev.name;
  if (vid !== 0 && !to.vlans.has(vid)) return `port ${name} is not in VLAN ${vid}`;
  if (to === from && !to.flags.hairpin) return `it came in by ${name} and hairpin is off there`;
  if (to.state !== "forwarding") return `port ${name} is ${to.state}`;
  if (from?.flags.isolated === true && to.flags.isolated)
    return `ports ${from.dev.name} and ${name} are isolated`;
  return undefined;
}

function wantsFlood(port: BridgePort, skb: SkBuff, { from }: BridgePass): boolean {
  const { destination } = skb.frame.link;
  if (!isMulticastMac(destination)) return port.flags.flood;
  if (from === undefined) return true;
  return destination === MAC_BROADCAST ? port.flags.bcast_flood : port.flags.mcast_flood;
}

function floodReason(skb: SkBuff): string {
  const { destination } = skb.frame.link;
  if (destination === MAC_BROADCAST) return "broadcast";
  return isMulticastMac(destination) ? "multicast" : `${formatMac(destination)} is not in the fdb`;
}

/** Mirrors net/bridge/br_forward.c:__br_forward(). */
function sendTo(to: BridgePort, skb: SkBuff, { from, vid }: BridgePass): void {
  const { ns } = to.dev;
  if (vid !== 0) vlanEgress(skb, vid, to.vlans);
  skb.dev = to.dev;
  const hook = from === undefined ? "OUTPUT" : "FORWARD";
  nfHook(skb, { hook, family: "bridge", ns, in: from?.dev, out: to.dev }, (frame) =>
    nfHook(
      frame,
      { hook: "POSTROUTING", family: "bridge", ns, in: undefined, out: to.dev },
      (last) => pushXmit(last, to.dev),
    ),
  );
}

/** Mirrors net/bridge/br_forward.c:br_dev_queue_push_xmit(). */
function pushXmit(skb: SkBuff, dev: NetDevice): SendResult {
  if (!dev.up || !fitsMtu(skb.frame, dev.mtu)) {
    drop(skb, "NOT_SPECIFIED", "br_dev_queue_push_xmit");
    return undefined;
  }
  return devQueueXmit(skb, dev);
}
