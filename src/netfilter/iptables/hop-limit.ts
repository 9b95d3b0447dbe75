import type { SkBuff } from "../../core/skbuff.js";
import { withTtl } from "../../wire/frame.js";
import {
  CONTINUE,
  defineMatch,
  defineTarget,
  type MatchExtension,
  type TargetExtension,
} from "./extension.js";
import { option, type OptionTraits } from "./options.js";
import { ipv4HeaderOf, ipv6HeaderOf } from "./packet.js";
import { refuse } from "./refusal.js";
import { not, u8, unsigned } from "./values.js";

/*
 * IPv4's time to live and IPv6's hop limit are one field under two names: `ttl` and `hl`, `TTL` and `HL` differ in words
 * alone.
 */

/** What one family calls it. */
interface Words {
  readonly family: "ipv4" | "ipv6";
  /** The name of the extension; `prefix` begins its options. */
  readonly name: string;
  readonly prefix: "ttl" | "hl";
  readonly mirrors: string;
  readonly examples: readonly string[];
  /** What the tool says where no option is given. */
  readonly refusal: string;
}

interface HopLimit {
  readonly how: "eq" | "lt" | "gt";
  readonly value: number;
  readonly invert: boolean;
}

/** A match that compares the field, 0..255. */
export function hopLimitMatch(
  { family, name, prefix, mirrors, examples, refusal }: Words,
  equalTraits: OptionTraits = {},
): MatchExtension {
  const others = rivals(prefix, ["lt", "gt", "eq"]);
  const LT = option(`${prefix}-lt`, u8, others("lt"));
  const GT = option(`${prefix}-gt`, u8, others("gt"));
  const EQ = option(`${prefix}-eq`, u8, { ...equalTraits, not: true, ...others("eq") });
  const field = family === "ipv4" ? "ttl" : "hop limit";
  return defineMatch<HopLimit>({
    name,
    family,
    mirrors,
    fidelity: "exact",
    examples,
    options: [LT, GT, EQ],
    check(args) {
      if (args.all.length === 0) throw refuse(refusal);
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
    format: ({ how, value, invert }) => `${not(invert)}--${prefix}-${how} ${value}`,
    isPure: true,
    matches({ how, value, invert }, skb) {
      const seen = hopLimitOf(skb) ?? 0;
      if (how === "lt") return seen < value;
      return how === "gt" ? seen > value : (seen === value) !== invert;
    },
    why: (_, skb) => `packet has ${field} ${hopLimitOf(skb) ?? 0}`,
  });
}

interface HopLimitChange {
  readonly how: "set" | "inc" | "dec";
  readonly value: number;
}

/** A target that writes the field, which stays within 0..255; 0 kills a packet only where it is forwarded. */
export function hopLimitTarget({
  family,
  name,
  prefix,
  mirrors,
  examples,
  refusal,
}: Words): TargetExtension {
  const others = rivals(prefix, ["set", "dec", "inc"]);
  const SET = option(`${prefix}-set`, u8, others("set"));
  const DEC = option(`${prefix}-dec`, unsigned(1, 255), others("dec"));
  const INC = option(`${prefix}-inc`, unsigned(1, 255), others("inc"));
  return defineTarget<HopLimitChange>({
    name,
    family,
    mirrors,
    fidelity: "exact",
    examples,
    options: [SET, DEC, INC],
    only: { tables: ["mangle"] },
    check(args) {
      if (args.all.length === 0) throw refuse(refusal);
    },
    parse(args) {
      const [dec, inc] = [args.value(DEC), args.value(INC)];
      if (dec !== undefined) return { how: "dec", value: dec };
      return inc === undefined
        ? { how: "set", value: args.need(SET).value }
        : { how: "inc", value: inc };
    },
    format: ({ how, value }) => `--${prefix}-${how} ${value}`,
    apply({ how, value }, skb) {
      const seen = hopLimitOf(skb);
      if (seen === undefined) return CONTINUE;
      const wanted = how === "set" ? value : seen + (how === "inc" ? value : -value);
      const next = Math.max(0, Math.min(255, wanted));
      if (next !== seen) skb.frame = withTtl(skb.frame, next);
      return CONTINUE;
    },
  });
}

/** Of options that stand alone, the others of one. */
function rivals(
  prefix: string,
  all: readonly string[],
): (how: string) => { readonly excludes: readonly string[] } {
  return (how) => ({
    excludes: all.filter((other) => other !== how).map((other) => `${prefix}-${other}`),
  });
}

function hopLimitOf(skb: SkBuff): number | undefined {
  return ipv4HeaderOf(skb)?.ttl ?? ipv6HeaderOf(skb)?.hopLimit;
}
