import { ipLength } from "../../../wire/frame.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import {
  formatRange,
  formatTest,
  inRange,
  type Negatable,
  type Range,
  unsignedRange,
} from "../values.js";

const LENGTH = option("length", unsignedRange(65_535), { not: true, must: true });

/** `-m length`: the length of the packet from the IP header on. */
export const length: MatchExtension = defineMatch<Negatable<Range>>({
  name: "length",
  mirrors: "net/netfilter/xt_length.c:length_mt()",
  fidelity: "exact",
  examples: ["--length 100", "! --length 0:64", "--length 200:100"],
  options: [LENGTH],
  parse: (args) => args.need(LENGTH),
  format: (test) => formatTest("length", test, formatRange).join(" "),
  isPure: true,
  matches: ({ value, invert }, skb) => inRange(ipLength(skb.frame), value) !== invert,
  why: (_, skb) => `packet has length ${ipLength(skb.frame)}`,
});
