import { type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { u8, unsigned } from "../values.js";

const NAMES = ["hl-set", "hl-dec", "hl-inc"];
const excludes = (name: string): { readonly excludes: readonly string[] } => ({
  excludes: NAMES.filter((other) => other !== name),
});
const SET = option("hl-set", u8, excludes("hl-set"));
const DEC = option("hl-dec", unsigned(1, 255), excludes("hl-dec"));
const INC = option("hl-inc", unsigned(1, 255), excludes("hl-inc"));

/** `-j HL` of IPv6: writes the hop limit. */
export const hl: TargetExtension = defineTarget<string>({
  name: "HL",
  family: "ipv6",
  mirrors: "net/netfilter/xt_HL.c:hl_tg6()",
  fidelity: "unmodelled",
  examples: ["--hl-set 64", "--hl-inc 1", "--hl-dec 3"],
  options: [SET, DEC, INC],
  only: { tables: ["mangle"] },
  check(args) {
    if (args.all.length === 0) throw refuse("HL: You must specify an action");
  },
  parse(args) {
    const given = args.get(DEC) ?? args.get(INC) ?? args.need(SET);
    return `--${given.spec.names[0]} ${given.value}`;
  },
  format: (text) => text,
});
