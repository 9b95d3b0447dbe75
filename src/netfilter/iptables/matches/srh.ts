import { get16, get8 } from "../../../wire/bytes.js";
import { getIpv6, type Ipv6 } from "../../../wire/ip.js";
import { IPPROTO_ROUTING } from "../../../wire/ipv6-extension.js";
import { formatMasked, type MaskedAddress, underMask } from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { findHeader } from "../find-header.js";
import { option, type OptionArgs, type OptionSpec } from "../options.js";
import { formatTest, hostMask, type Negatable, u16, u8 } from "../values.js";

const FIELDS = ["hdr-len", "segs-left", "last-entry"] as const;
type Field = (typeof FIELDS)[number];
const COMPARISONS = ["eq", "gt", "lt"] as const;
type Comparison = (typeof COMPARISONS)[number];

/** One test of a number in the header. */
interface NumberTest extends Negatable<number> {
  readonly field: Field;
  readonly how: Comparison;
}

/** Which of the listed segments: the one before the current one on the path, the one after it, the last of all. */
const SIDS = ["psid", "nsid", "lsid"] as const;

interface SidTest extends Negatable<MaskedAddress> {
  readonly which: (typeof SIDS)[number];
}

interface Srh {
  readonly next: Negatable<number> | undefined;
  readonly numbers: readonly NumberTest[];
  readonly tag: Negatable<number> | undefined;
  readonly sids: readonly SidTest[];
}

const NEXT = option("srh-next-hdr", u8, { not: true });
const NUMBERS = FIELDS.flatMap((field) =>
  COMPARISONS.map((how) => ({
    field,
    how,
    spec: option(`srh-${field}-${how}`, u8, { not: true }),
  })),
);
const TAG = option("srh-tag", u16, { not: true });
const SID_OPTIONS = SIDS.map((which) => ({
  which,
  spec: option(`srh-${which}`, hostMask, { not: true }),
}));

/** `-m srh` of IPv6: the segment routing header. The three tests of one field share one value, the last that was given. */
export const srh: MatchExtension = defineMatch<Srh>({
  name: "srh",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_srh.c:srh1_mt6()",
  fidelity: "exact",
  examples: [
    "--srh-next-hdr 6",
    "--srh-hdr-len-eq 4 ! --srh-segs-left-gt 1 --srh-tag 17 --srh-psid 2001:db8::/32",
  ],
  options: [NEXT, ...NUMBERS.map(({ spec }) => spec), TAG, ...SID_OPTIONS.map(({ spec }) => spec)],
  parse: (args) => ({
    next: args.get(NEXT),
    numbers: NUMBERS.flatMap(({ field, how, spec }) => {
      const given = args.get(spec);
      if (given === undefined) return [];
      return [{ field, how, value: lastOf(field, args) ?? given.value, invert: given.invert }];
    }),
    tag: args.get(TAG),
    sids: SID_OPTIONS.flatMap(({ which, spec }) => {
      const given = args.get(spec);
      return given === undefined ? [] : [{ which, value: given.value, invert: given.invert }];
    }),
  }),
  format: ({ next, numbers, tag, sids }) =>
    [
      ...formatTest("srh-next-hdr", next, String),
      ...numbers.flatMap((test) => formatTest(`srh-${test.field}-${test.how}`, test, String)),
      ...formatTest("srh-tag", tag, String),
      ...sids.flatMap((test) => formatTest(`srh-${test.which}`, test, formatMasked)),
    ].join(" "),
  isPure: true,
  matches(params, skb) {
    const found = findHeader(skb, IPPROTO_ROUTING);
    if (typeof found !== "object") return false;
    const { bytes, length } = found;
    return bytes.length >= Math.max(length, SRH_HLEN) && fitsHeader(params, bytes);
  },
  why: (_, skb) =>
    findHeader(skb, IPPROTO_ROUTING) === false
      ? "packet has no routing header"
      : "the segment routing header differs",
});

/** In bytes, without the segments. */
const SRH_HLEN = 8;
const SEGMENT_ROUTING = 4;

function fitsHeader({ next, numbers, tag, sids }: Srh, bytes: Uint8Array): boolean {
  const [left, last] = [get8(bytes, 3), get8(bytes, 4)];
  if (get8(bytes, 2) !== SEGMENT_ROUTING || left > last) return false;
  if (next !== undefined && (get8(bytes, 0) === next.value) === next.invert) return false;
  const fields: Readonly<Record<Field, number>> = {
    "hdr-len": get8(bytes, 1),
    "segs-left": left,
    "last-entry": last,
  };
  if (!numbers.every((test) => compares(fields[test.field], test) !== test.invert)) return false;
  if (tag !== undefined && (swapped(get16(bytes, 6)) === tag.value) === tag.invert) return false;
  return sids.every(({ which, value, invert }) => {
    const segment = segmentOf(which, bytes, left, last);
    return segment !== undefined && underMask(segment, value) !== invert;
  });
}

/** The kernel compares the tag as it stands on the wire with the number that the tool keeps as this machine does. */
function swapped(tag: number): number {
  return ((tag & 0xff) << 8) | (tag >> 8);
}

function compares(seen: number, { how, value }: NumberTest): boolean {
  if (how === "eq") return seen === value;
  return how === "gt" ? seen > value : seen < value;
}

/** Segments stand in reverse: the last one of the path first. */
function segmentOf(
  which: SidTest["which"],
  bytes: Uint8Array,
  left: number,
  last: number,
): Ipv6 | undefined {
  if ((which === "psid" && left === last) || (which === "nsid" && left === 0)) return undefined;
  const index = which === "psid" ? left + 1 : which === "nsid" ? left - 1 : 0;
  const at = SRH_HLEN + index * 16;
  return bytes.length < at + 16 ? undefined : getIpv6(bytes, at);
}

function lastOf(field: Field, args: OptionArgs): number | undefined {
  const specs: readonly OptionSpec<unknown>[] = NUMBERS.filter((one) => one.field === field).map(
    ({ spec }) => spec,
  );
  const last = args.all.findLast(({ spec }) => specs.includes(spec));
  return typeof last?.value === "number" ? last.value : undefined;
}
