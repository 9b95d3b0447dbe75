import type { DropReason } from "../../core/drop.js";
import { get8 } from "../../wire/bytes.js";

const PAD1 = 0;
const PADN = 1;
const ROUTER_ALERT = 5;

/** What the options of a header ask for. */
export type Options6Verdict =
  | { readonly kind: "accept" }
  | {
      readonly kind: "drop";
      readonly reason: DropReason;
      /** Tell the sender: the offset of the option's type within the header, and whether even when everybody was asked. */
      readonly problem: { readonly offset: number; readonly evenGroups: boolean } | undefined;
    };

const ACCEPT: Options6Verdict = { kind: "accept" };
const DAMAGED: Options6Verdict = { kind: "drop", reason: "NOT_SPECIFIED", problem: undefined };

/**
 * Looks through hop-by-hop or destination options: `body` is what follows next header and length. The two highest bits of
 * an option nobody knows say what becomes of the packet. RFC 8200 §4.2, mirrors net/ipv6/exthdrs.c:ip6_parse_tlv().
 */
export function checkOptions6(body: Uint8Array, hopByHop: boolean, most: number): Options6Verdict {
  let count = 0;
  let padding = 0;
  for (let at = 0; at < body.length;) {
    const type = get8(body, at);
    const length = type === PAD1 ? 1 : 2 + get8(body, at + 1);
    if (at + length > body.length) return DAMAGED;
    if (type === PAD1 || type === PADN) {
      padding += length;
      // Padding has a use up to 7 bytes, and is zeros.
      const zeros = body.subarray(at + 2, at + length).every((byte) => byte === 0);
      if (padding > 7 || (type === PADN && !zeros)) return DAMAGED;
    } else {
      padding = 0;
      if (++count > Math.abs(most)) return DAMAGED;
      const known = hopByHop && type === ROUTER_ALERT && length === 4;
      if (!known) {
        const verdict = unknown(type, at);
        if (verdict.kind === "drop") return verdict;
      }
    }
    at += length;
  }
  return ACCEPT;
}

/** Mirrors ip6_tlvopt_unknown(). */
function unknown(type: number, at: number): Options6Verdict {
  const action = type >>> 6;
  if (action === 0) return ACCEPT;
  const problem = action === 1 ? undefined : { offset: 2 + at, evenGroups: action === 2 };
  return { kind: "drop", reason: "UNHANDLED_PROTO", problem };
}
