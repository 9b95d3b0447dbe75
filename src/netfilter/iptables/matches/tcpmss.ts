import type { SkBuff } from "../../../core/skbuff.js";
import { encodeIpPacket, NO_BYTES } from "../../../wire/frame.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { fragmentOffsetOf, optionsIn, tcpOptionsOf, transportOf } from "../packet.js";
import { refuse } from "../refusal.js";
import {
  formatRange,
  formatTest,
  inRange,
  type Negatable,
  type Range,
  unsignedRange,
} from "../values.js";

const MSS = option(
  "mss",
  (text, use) => {
    const range = unsignedRange(65_535)(text, use);
    if (range.high < range.low) throw refuse("tcpmss: invalid range given");
    return range;
  },
  { not: true, must: true },
);

/** `-m tcpmss`: the segment size option; a segment without one gives the negation alone. */
export const tcpmss: MatchExtension = defineMatch<Negatable<Range>>({
  name: "tcpmss",
  mirrors: "net/netfilter/xt_tcpmss.c:tcpmss_mt()",
  fidelity: "exact",
  examples: ["-p tcp|--mss 500", "-p tcp|! --mss 500:1460"],
  options: [MSS],
  only: { protocols: [6] },
  parse: (args) => args.need(MSS),
  format: (test) => formatTest("mss", test, formatRange).join(" "),
  matches({ value, invert }, skb) {
    const options = optionsOf(skb);
    if (options === undefined) return "hotdrop";
    const mss = mssOf(options);
    return mss === undefined ? invert : inRange(mss, value) !== invert;
  },
  why(_, skb) {
    const mss = mssOf(optionsOf(skb) ?? NO_BYTES);
    return mss === undefined ? "segment has no MSS" : `segment has MSS ${mss}`;
  },
});

/**
 * The options of the TCP header; undefined where it is cut short. Of a later fragment the kernel takes what stands there for
 * one: over IPv4 the fragment's own bytes, over IPv6 the packet's from its very beginning.
 */
function optionsOf(skb: SkBuff): Uint8Array | undefined {
  const { frame } = skb;
  if (fragmentOffsetOf(frame) === 0) {
    const header = transportOf(skb, "tcp");
    return typeof header === "object" ? tcpOptionsOf(frame) : undefined;
  }
  return optionsIn(frame.network?.kind === "ipv6" ? encodeIpPacket(frame) : frame.payload);
}

function mssOf(options: Uint8Array): number | undefined {
  for (let at = 0; at < options.length;) {
    const kind = options[at] ?? 0;
    const length = options[at + 1] ?? 0;
    if (kind === 2 && length === 4 && at + 4 <= options.length)
      return ((options[at + 2] ?? 0) << 8) | (options[at + 3] ?? 0);
    at += kind < 2 ? 1 : Math.max(1, length);
  }
  return undefined;
}
