import { get8 } from "../wire/bytes.js";
import { IPPROTO_HOPOPTS } from "../wire/ipv6-extension.js";
import type { Ipv6Header } from "../wire/ipv6.js";

const PAD1 = 0;
const JUMBO = 0xc2;

/**
 * Whether a bridged packet is shown to the rules of IPv6: of its headers only the lengths of hop-by-hop options are looked at.
 * A jumbo payload fits none of our packets, whose header tells their length. Mirrors net/bridge/br_netfilter_ipv6.c:br_validate_ipv6()
 * and net/netfilter/utils.c:nf_ip6_check_hbh_len().
 */
export function isValidOnBridge({ extensions, protocol }: Ipv6Header): boolean {
  const [first] = extensions;
  if (first === undefined) return protocol !== IPPROTO_HOPOPTS;
  if (first.kind !== "options" || first.type !== IPPROTO_HOPOPTS) return true;
  const { body } = first;
  let at = 0;
  while (at < body.length) {
    const type = get8(body, at);
    if (type === JUMBO) return false;
    const length =
      type === PAD1 ? 1 : at + 1 < body.length ? 2 + get8(body, at + 1) : body.length + 1;
    at += length;
  }
  return at === body.length;
}
