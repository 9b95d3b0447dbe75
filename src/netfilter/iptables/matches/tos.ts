import { type MatchExtension, defineMatch } from "../extension.js";
import { hex } from "../numbers.js";
import { option } from "../options.js";
import { tosOf } from "../packet.js";
import { formatTos, readTos, type TosMask } from "../tos-names.js";
import { formatTest, type Negatable } from "../values.js";

const TOS = option("tos", readTos, { not: true, must: true });

/** `-m tos`: the TOS byte under a mask. */
export const tos: MatchExtension = defineMatch<Negatable<TosMask>>({
  name: "tos",
  mirrors: "net/netfilter/xt_dscp.c:tos_mt()",
  fidelity: "exact",
  examples: ["--tos 0x10/0xff", "! --tos 0x10/0x3f"],
  options: [TOS],
  parse: (args) => args.need(TOS),
  format: (test) => formatTest("tos", test, formatTos).join(" "),
  isPure: true,
  matches: ({ value: { value, mask }, invert }, skb) => ((tosOf(skb) & mask) === value) !== invert,
  why: (_, skb) => `packet has tos ${hex(tosOf(skb), 2)}`,
});
