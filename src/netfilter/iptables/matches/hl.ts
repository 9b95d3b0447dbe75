import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { ipv6HeaderOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { not, u8 } from "../values.js";

interface HopLimit {
  readonly how: "eq" | "lt" | "gt";
  readonly value: number;
  readonly invert: boolean;
}

const LT = option("hl-lt", u8, { excludes: ["hl-gt", "hl-eq"] });
const GT = option("hl-gt", u8, { excludes: ["hl-lt", "hl-eq"] });
const EQ = option("hl-eq", u8, { not: true, excludes: ["hl-lt", "hl-gt"] });

/** `-m hl` of IPv6: the hop limit. */
export const hl: MatchExtension = defineMatch<HopLimit>({
  name: "hl",
  family: "ipv6",
  mirrors: "net/netfilter/xt_hl.c:hl_mt6()",
  fidelity: "exact",
  examples: ["--hl-eq 255", "! --hl-eq 255", "--hl-lt 5", "--hl-gt 64"],
  options: [LT, GT, EQ],
  check(args) {
    if (args.all.length === 0)
      throw refuse("HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'");
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
  format: ({ how, value, invert }) => `${not(invert)}--hl-${how} ${value}`,
  isPure: true,
  matches({ how, value, invert }, skb) {
    const seen = ipv6HeaderOf(skb)?.hopLimit ?? 0;
    if (how === "lt") return seen < value;
    return how === "gt" ? seen > value : (seen === value) !== invert;
  },
  why: (_, skb) => `packet has hop limit ${ipv6HeaderOf(skb)?.hopLimit ?? 0}`,
});
