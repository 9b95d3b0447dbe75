import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { not, u8 } from "../values.js";

const LT = option("hl-lt", u8, { excludes: ["hl-gt", "hl-eq"] });
const GT = option("hl-gt", u8, { excludes: ["hl-lt", "hl-eq"] });
const EQ = option("hl-eq", u8, { not: true, excludes: ["hl-lt", "hl-gt"] });

/** `-m hl` of IPv6: the hop limit. */
export const hl: MatchExtension = defineMatch<string>({
  name: "hl",
  family: "ipv6",
  mirrors: "net/netfilter/xt_hl.c:hl_mt6()",
  fidelity: "unmodelled",
  examples: ["--hl-eq 255", "! --hl-eq 255", "--hl-lt 5", "--hl-gt 64"],
  options: [LT, GT, EQ],
  check(args) {
    if (args.all.length === 0)
      throw refuse("HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'");
  },
  parse(args) {
    const given = args.get(LT) ?? args.get(GT) ?? args.need(EQ);
    return `${not(given.invert)}--${given.spec.names[0]} ${given.value}`;
  },
  format: (text) => text,
});
