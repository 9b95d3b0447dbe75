import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { ipv4HeaderOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { not, u8 } from "../values.js";

interface Ttl {
  readonly how: "eq" | "lt" | "gt";
  readonly value: number;
  readonly invert: boolean;
}

const LT = option("ttl-lt", u8, { excludes: ["ttl-gt", "ttl-eq"] });
const GT = option("ttl-gt", u8, { excludes: ["ttl-lt", "ttl-eq"] });
const EQ = option("ttl-eq", u8, { alias: "ttl", not: true, excludes: ["ttl-lt", "ttl-gt"] });

/** `-m ttl`: the time to live. */
export const ttl: MatchExtension = defineMatch<Ttl>({
  name: "ttl",
  family: "ipv4",
  mirrors: "net/netfilter/xt_hl.c:ttl_mt()",
  fidelity: "exact",
  examples: ["--ttl-eq 64", "! --ttl-eq 64", "--ttl-lt 5", "--ttl-gt 5"],
  options: [LT, GT, EQ],
  check(args) {
    if (args.all.length === 0)
      throw refuse("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt");
  },
  parse(args) {
    for (const [how, spec] of [
      ["lt", LT],
      ["gt", GT],
    ] as const) {
      const value = args.value(spec);
      if (value !== undefined) return { how, value, invert: false };
    }
    return { how: "eq", ...args.need(EQ) };
  },
  format: ({ how, value, invert }) => `${not(invert)}--ttl-${how} ${value}`,
  isPure: true,
  matches({ how, value, invert }, skb) {
    const seen = ipv4HeaderOf(skb)?.ttl ?? 0;
    if (how === "lt") return seen < value;
    return how === "gt" ? seen > value : (seen === value) !== invert;
  },
  why: (_, skb) => `packet has ttl ${ipv4HeaderOf(skb)?.ttl ?? 0}`,
});
