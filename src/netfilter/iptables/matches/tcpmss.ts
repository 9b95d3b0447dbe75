import type { TcpHeader } from "../../../wire/tcp.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { transportOf } from "../packet.js";
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
    const header = transportOf(skb, "tcp");
    if (typeof header !== "object") return header;
    const mss = mssOf(header);
    return mss === undefined ? invert : inRange(mss, value) !== invert;
  },
  why(_, skb) {
    const header = transportOf(skb, "tcp");
    const mss = typeof header === "object" ? mssOf(header) : undefined;
    return mss === undefined ? "segment has no MSS" : `segment has MSS ${mss}`;
  },
});

function mssOf({ options }: TcpHeader): number | undefined {
  for (let at = 0; at < options.length;) {
    const kind = options[at] ?? 0;
    const length = options[at + 1] ?? 0;
    if (kind === 2 && length === 4 && at + 4 <= options.length)
      return ((options[at + 2] ?? 0) << 8) | (options[at + 3] ?? 0);
    at += kind < 2 ? 1 : Math.max(1, length);
  }
  return undefined;
}
