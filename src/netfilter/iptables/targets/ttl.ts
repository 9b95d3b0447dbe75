import { withTtl } from "../../../wire/frame.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { u8, unsigned } from "../values.js";

interface TtlChange {
  readonly how: "set" | "inc" | "dec";
  readonly value: number;
}

const NAMES = ["ttl-set", "ttl-dec", "ttl-inc"];
const excludes = (name: string): { readonly excludes: readonly string[] } => ({
  excludes: NAMES.filter((other) => other !== name),
});
const SET = option("ttl-set", u8, excludes("ttl-set"));
const DEC = option("ttl-dec", unsigned(1, 255), excludes("ttl-dec"));
const INC = option("ttl-inc", unsigned(1, 255), excludes("ttl-inc"));

/** `-j TTL`: writes the time to live; 0 kills the packet only where it is forwarded. */
export const ttl: TargetExtension = defineTarget<TtlChange>({
  name: "TTL",
  family: "ipv4",
  mirrors: "net/netfilter/xt_HL.c:ttl_tg()",
  fidelity: "exact",
  examples: ["--ttl-set 64", "--ttl-inc 1", "--ttl-dec 2"],
  options: [SET, DEC, INC],
  only: { tables: ["mangle"] },
  check(args) {
    if (args.all.length === 0) throw refuse("TTL: You must specify an action");
  },
  parse(args) {
    const [dec, inc] = [args.value(DEC), args.value(INC)];
    if (dec !== undefined) return { how: "dec", value: dec };
    return inc === undefined
      ? { how: "set", value: args.need(SET).value }
      : { how: "inc", value: inc };
  },
  format: ({ how, value }) => `--ttl-${how} ${value}`,
  apply({ how, value }, skb) {
    const { network } = skb.frame;
    if (network?.kind !== "ipv4") return CONTINUE;
    const wanted = how === "set" ? value : network.ttl + (how === "inc" ? value : -value);
    const next = Math.max(0, Math.min(255, wanted));
    if (next !== network.ttl) skb.frame = withTtl(skb.frame, next);
    return CONTINUE;
  },
});
