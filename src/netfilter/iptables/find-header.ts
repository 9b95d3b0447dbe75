import type { SkBuff } from "../../core/skbuff.js";
import { get16, get8 } from "../../wire/bytes.js";
import { encodeIpPacket } from "../../wire/frame.js";
import { IPPROTO_AH, IPPROTO_FRAGMENT, IPPROTO_ROUTING } from "../../wire/ipv6-extension.js";
import { IPV6_HLEN } from "../../wire/ipv6.js";
import { isExtensionHeader } from "../ipv6-headers.js";
import { ipv6HeaderOf } from "./packet.js";

/** An extension header in a packet's bytes. */
export interface FoundHeader {
  /** From the header's first byte to the packet's end. */
  readonly bytes: Uint8Array;
  /** What it says of its length, in bytes; it may be longer than the packet. */
  readonly length: number;
}

/**
 * The first extension header of a type. `hotdrop` where the chain is cut short before it is found, false where the packet
 * has none. Mirrors net/ipv6/exthdrs_core.c:ipv6_find_hdr().
 */
export function findHeader(skb: SkBuff, wanted: number): FoundHeader | false | "hotdrop" {
  const header = ipv6HeaderOf(skb);
  if (header === undefined) return false;
  if (header.extensions.length === 0 && !isExtensionHeader(header.protocol)) return false;
  const packet = encodeIpPacket(skb.frame);
  let type = get8(packet, 6);
  for (let at = IPV6_HLEN; ;) {
    if (!isExtensionHeader(type)) return false;
    const bytes = packet.subarray(at);
    const needed = type === IPPROTO_ROUTING || type === IPPROTO_FRAGMENT ? 4 : 2;
    if (bytes.length < needed) return "hotdrop";
    const length = headerLength(type, bytes);
    if (type === wanted) return { bytes, length };
    // Behind the header of a later fragment stands the middle of something.
    if (type === IPPROTO_FRAGMENT && (get16(bytes, 2) & 0xfff8) !== 0) return false;
    type = get8(bytes, 0);
    at += length;
  }
}

/** The length of an extension header that begins `bytes`, as it says itself. */
export function headerLength(type: number, bytes: Uint8Array): number {
  if (type === IPPROTO_FRAGMENT) return 8;
  return type === IPPROTO_AH ? (get8(bytes, 1) + 2) * 4 : (get8(bytes, 1) + 1) * 8;
}
