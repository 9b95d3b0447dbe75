import { deliver, drop } from "../core/drop.js";
import { cloneSkb } from "../core/simulation.js";
import type { SkBuff } from "../core/skbuff.js";
import { encodeTransport } from "../wire/frame.js";
import { type Ipv4Header, ipv4HeaderLength } from "../wire/ipv4.js";
import { cutPlaces } from "./fragment-queue.js";

/**
 * Cuts a packet into pieces that fit; they share its id, and one that was reassembled is cut at its old sizes.
 * The whole is used up. Mirrors net/ipv4/ip_output.c:ip_do_fragment().
 */
export function fragment(skb: SkBuff, mtu: number): readonly SkBuff[] {
  const { network } = skb.frame;
  if (network?.kind !== "ipv4") return [skb];
  const limit = skb.fragmentMaxSize > 0 ? Math.min(mtu, skb.fragmentMaxSize) : mtu;
  const room = Math.floor((limit - ipv4HeaderLength(network)) / 8) * 8;
  if (room <= 0) {
    drop(skb, "PKT_TOO_BIG", "ip_do_fragment");
    return [];
  }
  const bytes = encodeTransport(skb.frame);
  const pieces: SkBuff[] = [];
  const places = cutPlaces(skb, bytes.length, room);
  for (const [index, offset] of places.entries()) {
    const end = places[index + 1] ?? bytes.length;
    const last = end === bytes.length;
    const piece = cloneSkb(skb, "fragment");
    piece.socket = skb.socket;
    const header: Ipv4Header = {
      ...network,
      dontFragment: skb.fragmentsHadDf,
      moreFragments: !last || network.moreFragments,
      fragmentOffset: network.fragmentOffset + offset,
    };
    piece.fragmentMaxSize = 0;
    piece.frame = {
      link: skb.frame.link,
      network: header,
      transport: undefined,
      payload: bytes.subarray(offset, end),
    };
    pieces.push(piece);
  }
  deliver(skb, "fragments");
  return pieces;
}
