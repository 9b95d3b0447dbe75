import { withTtl } from "../../../wire/frame.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { u8, unsigned } from "../values.js";

interface HopLimitChange {
  readonly how: "set" | "inc" | "dec";
  readonly value: number;
}

const NAMES = ["hl-set", "hl-dec", "hl-inc"];
const excludes = (name: string): { readonly excludes: readonly string[] } => ({
  excludes: NAMES.filter((other) => other !== name),
});
const SET = option("hl-set", u8, excludes("hl-set"));
const DEC = option("hl-dec", unsigned(1, 255), excludes("hl-dec"));
const INC = option("hl-inc", unsigned(1, 255), excludes("hl-inc"));

/** `-j HL` of IPv6: writes the hop limit. */
export const hl: TargetExtension = defineTarget<HopLimitChange>({
  name: "HL",
  family: "ipv6",
  mirrors: "net/netfilter/xt_HL.c:hl_tg6()",
  fidelity: "exact",
  examples: ["--hl-set 64", "--hl-inc 1", "--hl-dec 3"],
  options: [SET, DEC, INC],
  only: { tables: ["mangle"] },
  check(args) {
    if (args.all.length === 0) throw refuse("HL: You must specify an action");
  },
  parse(args) {
    const [dec, inc] = [args.value(DEC), args.value(INC)];
    if (dec !== undefined) return { how: "dec", value: dec };
    return inc === undefined
      ? { how: "set", value: args.need(SET).value }
      : { how: "inc", value: inc };
  },
  format: ({ how, value }) => `--hl-${how} ${value}`,
  apply({ how, value }, skb) {
    const { network } = skb.frame;
    if (network?.kind !== "ipv6") return CONTINUE;
    const wanted = how === "set" ? value : network.hopLimit + (how === "inc" ? value : -value);
    const next = Math.max(0, Math.min(255, wanted));
    if (next !== network.hopLimit) skb.frame = withTtl(skb.frame, next);
    return CONTINUE;
  },
});
