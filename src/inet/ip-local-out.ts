import type { SendResult } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { ETH_P_IP, type EthernetHeader } from "../wire/ethernet.js";
import { type Frame, NO_BYTES, type TransportHeader } from "../wire/frame.js";
import { type Ipv4, MAC_ZERO } from "../wire/ip.js";
import { localOut } from "./local-out.js";
import { ipv4Sysctls } from "./sysctls.js";

/** A packet's fields that its maker decides. */
export interface PacketFields {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
  readonly tos: number;
  readonly ttl: number;
  readonly id: number;
  readonly dontFragment: boolean;
}

/** Before the neighbour is known a packet has no addresses below IP. */
const NO_LINK: EthernetHeader = { destination: MAC_ZERO, source: MAC_ZERO, etherType: ETH_P_IP };

export function ipPacket(
  fields: PacketFields,
  transport: TransportHeader | undefined,
  payload: Uint8Array,
): Frame {
  const { source, destination, protocol, tos, ttl, id, dontFragment } = fields;
  return {
    link: NO_LINK,
    network: {
      kind: "ipv4",
      tos,
      id,
      dontFragment,
      moreFragments: false,
      fragmentOffset: 0,
      ttl,
      protocol,
      source,
      destination,
      options: NO_BYTES,
    },
    transport,
    payload,
  };
}

/**
 * Whether a socket's packets along `route` say that nobody may cut them. Differs: `ip_no_pmtu_disc` is read when a packet is
 * sent, not when its socket is made. Mirrors include/net/ip.h:ip_dont_fragment().
 */
export function ipDontFragment(
  ns: NetworkNamespace,
  route: { readonly mtuLocked: boolean },
): boolean {
  return !route.mtuLocked && ipv4Sysctls(ns).get("net.ipv4.ip_no_pmtu_disc") === 0;
}

/**
 * Sends a packet of this host whose `route` is set: OUTPUT, then out. Its result is what send() returns.
 * Mirrors net/ipv4/ip_output.c:ip_local_out().
 */
export function ipLocalOut(skb: SkBuff): SendResult {
  return localOut(skb, "ipv4");
}
