import { formatMasked, type MaskedAddress } from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option, type OptionArgs, type OptionSpec } from "../options.js";
import { formatTest, hostMask, u16, u8 } from "../values.js";

const FIELDS = ["hdr-len", "segs-left", "last-entry"] as const;
const COMPARISONS = ["eq", "gt", "lt"] as const;

const NEXT = option("srh-next-hdr", u8, { not: true });
const NUMBERS: readonly OptionSpec<number>[] = FIELDS.flatMap((field) =>
  COMPARISONS.map((how) => option(`srh-${field}-${how}`, u8, { not: true })),
);
const TAG = option("srh-tag", u16, { not: true });
const SIDS: readonly OptionSpec<MaskedAddress>[] = ["psid", "nsid", "lsid"].map((name) =>
  option(`srh-${name}`, hostMask, { not: true }),
);

/** `-m srh` of IPv6: the segment routing header. The three tests of one field share one value, the last that was given. */
export const srh: MatchExtension = defineMatch<readonly string[]>({
  name: "srh",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_srh.c:srh1_mt6()",
  fidelity: "unmodelled",
  examples: [
    "--srh-next-hdr 6",
    "--srh-hdr-len-eq 4 ! --srh-segs-left-gt 1 --srh-tag 17 --srh-psid 2001:db8::/32",
  ],
  options: [NEXT, ...NUMBERS, TAG, ...SIDS],
  parse: (args) => [
    ...formatTest("srh-next-hdr", args.get(NEXT), String),
    ...NUMBERS.flatMap((spec) => numberTest(spec, args)),
    ...formatTest("srh-tag", args.get(TAG), String),
    ...SIDS.flatMap((spec) => formatTest(spec.names[0] ?? "", args.get(spec), formatMasked)),
  ],
  format: (words) => words.join(" "),
});

function numberTest(spec: OptionSpec<number>, args: OptionArgs): readonly string[] {
  const name = spec.names[0] ?? "";
  const given = args.get(spec);
  if (given === undefined) return [];
  const field = name.replace(/-(eq|gt|lt)$/, "");
  const last = args.all.findLast(
    (other) => (other.spec.names[0] ?? "").replace(/-(eq|gt|lt)$/, "") === field,
  );
  return formatTest(
    name,
    { value: typeof last?.value === "number" ? last.value : given.value, invert: given.invert },
    String,
  );
}
