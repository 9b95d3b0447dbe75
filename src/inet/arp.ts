import type { NetDevice } from "../core/device.js";
import { deliver, drop } from "../core/drop.js";
import { nfHook } from "../core/hooks.js";
import { type NetworkNamespace, perNamespace, type PernetOperations } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { later, microseconds } from "../sim/time.js";
import { type ArpHeader, ARPOP_REPLY, ARPOP_REQUEST } from "../wire/arp.js";
import { ETH_P_ARP } from "../wire/ethernet.js";
import { ICMP_DEST_UNREACH, ICMP_HOST_UNREACH } from "../wire/icmp.js";
import {
  IPV4_ANY,
  type Ipv4,
  isIpv4Loopback,
  isIpv4Multicast,
  MAC_BROADCAST,
  multicastMac,
  type Mac,
  prefixContains,
} from "../wire/ip.js";
import { addressesOf, onAddressRemoved } from "./addresses.js";
import { arpSend, arpSolicit, sendGratuitousArp } from "./arp-output.js";
import { arpFilterRefuses, arpIgnores, isProxiedByRoute } from "./arp-policy.js";
import { confAnd, confMax, confOr, isForwarding } from "./devconf.js";
import { icmpSend } from "./icmp.js";
import { neighbours } from "./neighbour.js";
import { forgetNeighbourParms, neighbourParms } from "./neighbour-parms.js";
import { decideInput } from "./route-input.js";
import { inetAddrType } from "./source-address.js";

/** ARP of every namespace. Mirrors net/ipv4/arp.c:arp_init() and arp_netdev_event(). */
export const arp: PernetOperations = {
  name: "arp",
  init(ns: NetworkNamespace): void {
    const table = neighbours(ns);
    table.ops = {
      solicit: arpSolicit,
      fixedMac,
      parms: neighbourParms,
      // One neighbour stands for all behind lo. Mirrors arp_constructor().
      keyOf: (dev, address) => (dev.isLoopback ? IPV4_ANY : address),
      // Mirrors net/ipv4/arp.c:arp_error_report() and net/ipv4/route.c:ipv4_link_failure().
      errorReport: (skb) => icmpSend(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH),
    };
    ns.protocols.set(ETH_P_ARP, arpReceive);
    // Mirrors net/ipv4/arp.c:arp_ifdown(), which fib_disable_ip() calls.
    onAddressRemoved(ns, ({ dev }) => {
      if (addressesOf(dev).length === 0) table.flushDevice(dev, false);
    });
    ns.onDeviceNotice((notice, dev) => {
      switch (notice) {
        case "register":
          neighbourParms(dev);
          return;
        case "up":
          if (confMax(dev, "arp_notify") > 0) sendGratuitousArp(dev);
          return;
        case "down":
        case "address":
          return table.flushDevice(dev, false);
        case "unregister":
          table.flushDevice(dev, false);
          return forgetNeighbourParms(dev, ns);
        case "carrier":
          if (!dev.carrier && confAnd(dev, "arp_evict_nocarrier")) table.flushDevice(dev, true);
          return;
        case "mtu":
      }
    });
  },
};

/** Mirrors net/ipv4/arp.c:arp_constructor(). */
function fixedMac(dev: NetDevice, address: Ipv4): Mac | undefined {
  if (dev.isLoopback) return dev.mac;
  if (isIpv4Multicast(address)) return multicastMac(address);
  if (dev.noArp) return dev.mac;
  return inetAddrType(dev.ns, address) === "BROADCAST" ? MAC_BROADCAST : undefined;
}

/** Mirrors net/ipv4/arp.c:arp_rcv(). */
export function arpReceive(skb: SkBuff): void {
  const { dev } = skb;
  const header = skb.frame.network;
  if (dev === undefined || dev.noArp || skb.packetType === "OTHERHOST" || dev.isLoopback)
    return deliver(skb, "arp (not for this host)");
  if (header?.kind !== "arp") return drop(skb, "NOT_SPECIFIED", "arp_rcv");
  nfHook(skb, { hook: "INPUT", family: "arp", ns: dev.ns, in: dev, out: undefined }, (packet) => {
    if (packet.frame.network?.kind === "arp") arpProcess(packet, dev, packet.frame.network);
    return undefined;
  });
}

/** Mirrors net/ipv4/arp.c:arp_process(). The order of the checks decides. */
function arpProcess(skb: SkBuff, dev: NetDevice, header: ArpHeader): void {
  const { operation, senderIp, targetIp } = header;
  if (operation !== ARPOP_REQUEST && operation !== ARPOP_REPLY)
    return drop(skb, "NOT_SPECIFIED", "arp_process");
  const toLoopback = isIpv4Loopback(targetIp) && !confOr(dev, "route_localnet");
  if (isIpv4Multicast(targetIp) || toLoopback) return drop(skb, "NOT_SPECIFIED", "arp_process");
  if (senderIp === targetIp && confOr(dev, "drop_gratuitous_arp"))
    return drop(skb, "NOT_SPECIFIED", "arp_process");
  if (senderIp === IPV4_ANY) return answerProbe(skb, dev, header);
  if (operation === ARPOP_REQUEST && answerRequest(skb, dev, header)) return;
  learnFrom(skb, dev, header);
  deliver(skb, "arp");
}

/** A host asks whether an address is free before it takes it. RFC 5227. */
function answerProbe(skb: SkBuff, dev: NetDevice, header: ArpHeader): void {
  const { operation, senderIp, targetIp } = header;
  const ours = operation === ARPOP_REQUEST && inetAddrType(dev.ns, targetIp) === "LOCAL";
  if (ours && !arpIgnores(dev, senderIp, targetIp)) reply(skb, dev, header);
  deliver(skb, "arp");
}

/** Answers for an address of ours or one we stand in for; false when the message is only news. */
function answerRequest(skb: SkBuff, dev: NetDevice, header: ArpHeader): boolean {
  const { senderIp, targetIp } = header;
  const flow = {
    source: senderIp,
    destination: targetIp,
    tos: 0,
    mark: skb.mark,
    dev,
    frame: undefined,
  };
  const { decision: route } = decideInput(flow);
  if (typeof route === "string") return false;
  if (route.type === "local") {
    if (
      !arpIgnores(dev, senderIp, targetIp) &&
      !(confOr(dev, "arp_filter") && arpFilterRefuses(dev, senderIp, targetIp))
    ) {
      learnSender(skb, dev, header);
      reply(skb, dev, header);
    }
    deliver(skb, "arp");
    return true;
  }
  if (route.type !== "unicast" || !isForwarding(dev)) return false;
  const byEntry = route.dev !== dev && neighbours(dev.ns).hasProxy(dev, targetIp);
  if (!byEntry && !isProxiedByRoute(dev, route)) return false;
  learnSender(skb, dev, header);
  answerAsProxy(skb, dev, header);
  return true;
}

/** At once when asked directly, else after a random time. Mirrors net/core/neighbour.c:pneigh_enqueue(). */
function answerAsProxy(skb: SkBuff, dev: NetDevice, header: ArpHeader): void {
  const { proxyDelay, values } = neighbourParms(dev);
  const { queue, random } = dev.ns.sim;
  const answer = (): void => {
    reply(skb, dev, header);
    deliver(skb, "arp");
  };
  if (skb.packetType === "HOST" || proxyDelay === 0) return answer();
  const waiting = proxyQueues(dev.ns);
  const length = waiting.get(dev) ?? 0;
  if (length > values.proxy_qlen) return drop(skb, "NOT_SPECIFIED", "pneigh_enqueue");
  waiting.set(dev, length + 1);
  queue.after(microseconds(random() * proxyDelay), "proxy arp", () => {
    waiting.set(dev, (waiting.get(dev) ?? 1) - 1);
    if (dev.up) answer();
    else drop(skb, "NOT_SPECIFIED", "neigh_proxy_process");
  });
}

/** Requests that wait for their delayed answer, by device. */
const proxyQueues: (ns: NetworkNamespace) => Map<NetDevice, number> = perNamespace(
  () => new Map<NetDevice, number>(),
);

function reply(skb: SkBuff, dev: NetDevice, { senderIp, senderMac, targetIp }: ArpHeader): void {
  arpSend({
    dev,
    operation: ARPOP_REPLY,
    senderIp: targetIp,
    targetIp: senderIp,
    targetMac: senderMac,
    destination: senderMac,
    cause: skb,
  });
}

/** Whoever asks us is worth knowing. Mirrors net/core/neighbour.c:neigh_event_ns(). */
function learnSender(skb: SkBuff, dev: NetDevice, { senderIp, senderMac }: ArpHeader): void {
  neighbours(dev.ns).obtain(dev, senderIp)?.update(senderMac, "STALE", { override: true }, skb);
}

/** Any message is news about its sender, but only a known one. The last part of arp_process(). */
function learnFrom(skb: SkBuff, dev: NetDevice, header: ArpHeader): void {
  const { operation, senderIp, senderMac } = header;
  const table = neighbours(dev.ns);
  const gratuitous = isGratuitous(dev, header);
  const accept = acceptsNews(dev, senderIp);
  const unicast =
    operation === ARPOP_REPLY && accept && inetAddrType(dev.ns, senderIp) === "UNICAST";
  const known = table.lookup(dev, senderIp);
  const neighbour =
    known ?? (accept && (gratuitous || unicast) ? table.obtain(dev, senderIp) : undefined);
  if (neighbour === undefined) return;
  const unlocked = dev.ns.sim.queue.now > later(neighbour.updated, neighbourParms(dev).lockTime);
  const solicited = operation === ARPOP_REPLY && skb.packetType === "HOST";
  neighbour.update(
    senderMac,
    solicited ? "REACHABLE" : "STALE",
    { override: unlocked || gratuitous },
    skb,
  );
}

/** Mirrors net/ipv4/arp.c:arp_is_garp(). */
function isGratuitous(dev: NetDevice, header: ArpHeader): boolean {
  const { operation, senderIp, senderMac, targetIp, targetMac } = header;
  if (senderIp !== targetIp || (operation === ARPOP_REPLY && targetMac !== senderMac)) return false;
  return inetAddrType(dev.ns, senderIp) === "UNICAST";
}

/** Mirrors net/ipv4/arp.c:arp_accept(). */
function acceptsNews(dev: NetDevice, sender: Ipv4): boolean {
  const accept = confMax(dev, "arp_accept");
  if (accept !== 2) return accept !== 0;
  return addressesOf(dev).some(({ peer, length }) =>
    prefixContains({ address: peer, length }, sender),
  );
}
