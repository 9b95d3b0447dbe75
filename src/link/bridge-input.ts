import { netifReceiveSkb, type RxResult } from "../core/device.js";
import { drop } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import { nfHook } from "../core/hooks.js";
import type { SkBuff } from "../core/skbuff.js";
import { formatMac, isMulticastMac, type Mac, MAC_BROADCAST, MAC_ZERO } from "../wire/ip.js";
import { vlanOf } from "../wire/vlan.js";
import {
  type BridgePass,
  flood,
  forward,
  sendToReceivers,
  snoopFrame,
  tellBridge,
} from "./bridge-forward.js";
import type { BridgeDevice } from "./bridge.js";
import type { BridgePort } from "./bridge-port.js";
import { vlanEgress, vlanIngress } from "./bridge-vlans.js";
import { macvlanPorts } from "./macvlan.js";
import { receiveBpdu } from "./stp-input.js";

const GROUP_ADDRESSES = 0x0180_c200_0000;

/** What arrives at a port. Mirrors net/bridge/br_input.c:br_handle_frame(). */
export function bridgeHandleFrame(skb: SkBuff, port: BridgePort): RxResult {
  const { bridge } = port;
  const { source, destination } = skb.frame.link;
  if (source === MAC_ZERO || isMulticastMac(source)) return refuse(skb, "MAC_INVALID_SOURCE");
  const group = groupNumber(destination);
  if (group === 0 && bridge.stp.enabled && (bridge.groupForwardMask & 1) === 0) {
    learn(skb, port, portVlan(skb, port));
    receiveBpdu(skb, port);
    return "consumed";
  }
  if (group !== undefined && group !== 0 && (bridge.groupForwardMask & (1 << group)) === 0) {
    return handleGroup(skb, port, group);
  }
  if (port.state !== "forwarding" && port.state !== "learning")
    return refuse(skb, "BRIDGE_INGRESS_STP_STATE");
  if (destination === bridge.mac) skb.packetType = "HOST";
  nfHook(
    skb,
    { hook: "PREROUTING", family: "bridge", ns: bridge.ns, in: port.dev, out: undefined },
    (frame) => finish(frame, port),
  );
  return "consumed";
}

/** The X of 01:80:c2:00:00:0X, addresses that no bridge forwards; with spanning tree off 0 is an ordinary group. */
function groupNumber(mac: Mac): number | undefined {
  const offset = mac - GROUP_ADDRESSES;
  return offset >= 0 && offset <= 15 ? offset : undefined;
}

function refuse(
  skb: SkBuff,
  reason: "MAC_INVALID_SOURCE" | "MAC_IEEE_MAC_CONTROL" | "BRIDGE_INGRESS_STP_STATE",
): RxResult {
  drop(skb, reason, "br_handle_frame");
  return "consumed";
}

/** A link-local group goes to the port device's own protocols. Mirrors net/bridge/br_input.c:br_handle_local_finish(). */
function handleGroup(skb: SkBuff, port: BridgePort, group: number): RxResult {
  if (group === 1) return refuse(skb, "MAC_IEEE_MAC_CONTROL");
  const { bridge } = port;
  if (group === 0xe) {
    learn(skb, port, portVlan(skb, port));
    return "pass";
  }
  let result: RxResult = "consumed";
  nfHook(
    skb,
    { hook: "INPUT", family: "bridge", ns: bridge.ns, in: port.dev, out: undefined },
    (frame) => {
      learn(frame, port, portVlan(frame, port));
      result = "pass";
      return undefined;
    },
  );
  return result;
}

/** The VLAN that a link-local frame's sender is learned in. Mirrors net/bridge/br_vlan.c:br_should_learn(). */
function portVlan(skb: SkBuff, { bridge, vlans }: BridgePort): number {
  return bridge.vlanFiltering ? vlanOf(skb.frame) || (vlans.pvid ?? 0) : 0;
}

/** After PREROUTING: learn, look up, send on. Mirrors net/bridge/br_input.c:br_handle_frame_finish(). */
function finish(skb: SkBuff, port: BridgePort): SendResult {
  const where = "br_handle_frame_finish";
  if (port.state === "disabled") {
    drop(skb, "BRIDGE_INGRESS_STP_STATE", where);
    return undefined;
  }
  const vid = port.bridge.vlanFiltering ? ingressVlan(skb, port) : 0;
  if (vid === undefined) return undefined;
  learn(skb, port, vid);
  const { bridge } = port;
  const { destination } = skb.frame.link;
  const group = isMulticastMac(destination);
  const receivers =
    group && destination !== MAC_BROADCAST
      ? snoopFrame(skb, { bridge, from: port, localCopy: true, vid })
      : undefined;
  if (receivers === "damaged") {
    drop(skb, "NOT_SPECIFIED", where);
    return undefined;
  }
  if (port.state === "learning") {
    drop(skb, "BRIDGE_INGRESS_STP_STATE", where);
    return undefined;
  }
  const localCopy = hearsAll(bridge) || (group && receivers?.host !== false);
  const pass: BridgePass = { bridge, from: port, localCopy, vid };
  const entry = group ? undefined : bridge.fdb.lookup(destination, vid);
  if (entry?.local === true)
    return passUp(
      skb,
      pass,
      `${formatMac(destination)} is an address of ${entry.port?.dev.name ?? bridge.name}`,
    );
  if (receivers !== undefined) sendToReceivers(skb, pass, receivers, where);
  else if (entry === undefined) flood(skb, pass, where);
  else forward(skb, entry.port, pass, where);
  if (!localCopy) return undefined;
  if (!group) return passUp(skb, pass, "the bridge is promiscuous");
  return passUp(skb, pass, destination === MAC_BROADCAST ? "broadcast" : "multicast");
}

/** The bridge's host wants every frame: it is in promiscuous mode, or has macvlans on top. */
function hearsAll(bridge: BridgeDevice): boolean {
  return bridge.promiscuous || (macvlanPorts(bridge.ns).find(bridge)?.promiscuity ?? 0) > 0;
}

/** Tells of a frame that VLANs keep out. */
function ingressVlan(skb: SkBuff, port: BridgePort): number | undefined {
  const { bridge, vlans } = port;
  const tag = vlanOf(skb.frame) ?? 0;
  if (tag === 0 ? vlans.pvid === undefined : !vlans.has(tag)) {
    const why =
      tag === 0 ? `${port.dev.name} has no PVID` : `${port.dev.name} is not in VLAN ${tag}`;
    const pass: BridgePass = { bridge, from: port, localCopy: false, vid: tag };
    tellBridge(skb, pass, { action: "refuse", to: [], why });
  }
  return vlanIngress(skb, vlans);
}

/** The frame goes to the bridge's host. Mirrors net/bridge/br_input.c:br_pass_frame_up(). */
function passUp(skb: SkBuff, pass: BridgePass, why: string): SendResult {
  const { bridge, from, vid } = pass;
  if (vid !== 0 && !hearsAll(bridge) && !bridge.vlans.has(vid)) {
    const outside = `${why}, and ${bridge.name} is not in VLAN ${vid}`;
    tellBridge(skb, pass, { action: "refuse", to: [bridge.name], why: outside });
    drop(skb, "NOT_SPECIFIED", "br_pass_frame_up");
    return undefined;
  }
  tellBridge(skb, pass, { action: "local", to: [bridge.name], why });
  skb.dev = bridge;
  if (vid !== 0) vlanEgress(skb, vid, bridge.vlans);
  return nfHook(
    skb,
    { hook: "INPUT", family: "bridge", ns: bridge.ns, in: from?.dev, out: undefined },
    (frame) => {
      netifReceiveSkb(frame, bridge);
      return undefined;
    },
  );
}

/** Mirrors net/bridge/br_fdb.c:br_fdb_update(). */
function learn(skb: SkBuff, port: BridgePort, vid = 0): void {
  if (!port.flags.learning || (port.state !== "learning" && port.state !== "forwarding")) return;
  const { source } = skb.frame.link;
  const learning = port.bridge.fdb.learn(source, port, vid);
  if (learning === "known") return;
  const why = {
    new: `${formatMac(source)} is behind ${port.dev.name}`,
    moved: `${formatMac(source)} moved to ${port.dev.name}`,
    "own address": `not learned: received packet on ${port.dev.name} with own address as source address`,
  }[learning];
  tellBridge(
    skb,
    { bridge: port.bridge, from: port, localCopy: false, vid },
    { action: "learn", to: [port.dev.name], why },
  );
}
