import { ipLength } from "../../../wire/frame.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { formatTest, type Negatable, u64 } from "../values.js";

const QUOTA = option("quota", u64, { not: true, must: true });

/** `-m quota`: matches until so many bytes have passed; the first packet too big uses up the rest. */
export const quota: MatchExtension = defineMatch<Negatable<bigint>, { left: bigint }>({
  name: "quota",
  mirrors: "net/netfilter/xt_quota.c:quota_mt()",
  fidelity: "exact",
  examples: ["--quota 1000", "! --quota 1000"],
  options: [QUOTA],
  parse: (args) => args.need(QUOTA),
  format: (test) => formatTest("quota", test, String).join(" "),
  remember: ({ value }) => ({ left: value }),
  matches({ invert }, skb, _, memory) {
    const length = BigInt(ipLength(skb.frame));
    const fits = memory.left >= length;
    memory.left = fits ? memory.left - length : 0n;
    return fits !== invert;
  },
  why: (_, __, ___, memory) => `${memory.left} bytes of the quota are left`,
});
