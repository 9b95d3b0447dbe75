import { devQueueXmit, type NetDevice } from "../core/device.js";
import { nfHook } from "../core/hooks.js";
import { newSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { ARPOP_REPLY, ARPOP_REQUEST } from "../wire/arp.js";
import { ETH_P_ARP } from "../wire/ethernet.js";
import { NO_BYTES } from "../wire/frame.js";
import { type Ipv4, MAC_BROADCAST, MAC_ZERO, type Mac, prefixContains } from "../wire/ip.js";
import { addressesOf } from "./addresses.js";
import { confMax } from "./devconf.js";
import { RT_SCOPE_LINK } from "./fib-types.js";
import type { Neighbour } from "./neighbour-entry.js";
import { neighbourParms } from "./neighbour-parms.js";
import { inetAddrType, selectSource } from "./source-address.js";

/** One ARP message to send. */
export interface ArpMessage {
  readonly dev: NetDevice;
  readonly operation: number;
  readonly senderIp: Ipv4;
  readonly targetIp: Ipv4;
  readonly targetMac: Mac;
  /** The Ethernet destination. */
  readonly destination: Mac;
  /** The packet that made it necessary. */
  readonly cause?: SkBuff | undefined;
}

/** Mirrors net/ipv4/arp.c:arp_send_dst(). */
export function arpSend(message: ArpMessage): void {
  const { dev, operation, senderIp, targetIp, targetMac, destination } = message;
  if (dev.noArp) return;
  const frame = {
    link: { destination, source: dev.mac, etherType: ETH_P_ARP },
    network: { kind: "arp", operation, senderMac: dev.mac, senderIp, targetMac, targetIp } as const,
    transport: undefined,
    payload: NO_BYTES,
  };
  const skb = newSkb(
    dev.ns,
    frame,
    operation === ARPOP_REPLY ? "arp reply" : "arp request",
    message.cause,
  );
  skb.dev = dev;
  nfHook(skb, { hook: "OUTPUT", family: "arp", ns: dev.ns, in: undefined, out: dev }, (packet) =>
    devQueueXmit(packet, dev),
  );
}

/** Asks for a neighbour: everybody at first, a known address later. Mirrors net/ipv4/arp.c:arp_solicit(). */
export function arpSolicit(neighbour: Neighbour, trigger: SkBuff | undefined): void {
  const { dev, address, mac, probes } = neighbour;
  const { ucast_solicit: unicast, app_solicit: application } = neighbourParms(dev).values;
  const toKnown = probes < unicast;
  if (!toKnown && probes < unicast + application) return;
  arpSend({
    dev,
    operation: ARPOP_REQUEST,
    senderIp: announcedSource(neighbour, trigger) ?? selectSource(dev, address, RT_SCOPE_LINK),
    targetIp: address,
    targetMac: MAC_ZERO,
    destination: toKnown && mac !== undefined ? mac : MAC_BROADCAST,
    cause: trigger,
  });
}

/** `arp_notify`: a device that came up tells its addresses. Mirrors net/ipv4/devinet.c:inetdev_send_gratuitous_arp(). */
export function sendGratuitousArp(dev: NetDevice): void {
  for (const { local } of addressesOf(dev)) {
    arpSend({
      dev,
      operation: ARPOP_REQUEST,
      senderIp: local,
      targetIp: local,
      targetMac: MAC_ZERO,
      destination: MAC_BROADCAST,
    });
  }
}

/** The source that `arp_announce` lets a request have: that of the packet which waits, if it is ours and fits. */
function announcedSource(neighbour: Neighbour, trigger: SkBuff | undefined): Ipv4 | undefined {
  const { dev, address } = neighbour;
  const announce = confMax(dev, "arp_announce");
  const network = trigger?.frame.network;
  if (network?.kind !== "ipv4" || announce >= 2) return undefined;
  if (inetAddrType(dev.ns, network.source) !== "LOCAL") return undefined;
  if (announce === 0) return network.source;
  return isOnLink(dev, address, network.source) ? network.source : undefined;
}

/** Whether one subnet of the device holds both addresses. Mirrors net/ipv4/devinet.c:inet_addr_onlink(). */
function isOnLink(dev: NetDevice, a: Ipv4, b: Ipv4): boolean {
  return addressesOf(dev).some(({ peer, length, secondary }) => {
    const prefix = { address: peer, length };
    return !secondary && prefixContains(prefix, a) && prefixContains(prefix, b);
  });
}
