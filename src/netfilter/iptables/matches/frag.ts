import { get16, get32, get8 } from "../../../wire/bytes.js";
import { IPPROTO_FRAGMENT } from "../../../wire/ipv6-extension.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { findHeader } from "../find-header.js";
import { flag, option } from "../options.js";
import { formatTest, type Negatable, u32 } from "../values.js";
import { fitsSpi, formatSpi, spiOption, type SpiRange } from "./spi.js";

interface Frag {
  readonly id: Negatable<SpiRange> | undefined;
  readonly length: Negatable<number> | undefined;
  readonly flags: readonly string[];
}

const ID = spiOption("fragid");
const LEN = option("fraglen", u32, { not: true });
const FLAGS = [
  flag("fragres"),
  flag("fragfirst"),
  flag("fragmore", { excludes: ["fraglast"] }),
  flag("fraglast", { excludes: ["fragmore"] }),
];

/** `-m frag` of IPv6: the fragment header. */
export const frag: MatchExtension = defineMatch<Frag>({
  name: "frag",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_frag.c:frag_mt6()",
  fidelity: "exact",
  examples: ["--fragid 5", "! --fragid 5:9 --fraglen 8 --fragres --fragfirst --fragmore", ""],
  options: [ID, LEN, ...FLAGS],
  parse: (args) => ({
    id: args.get(ID),
    length: args.get(LEN),
    flags: FLAGS.filter((spec) => args.has(spec)).map((spec) => spec.names[0] ?? ""),
  }),
  format: ({ id, length, flags }) =>
    [
      ...formatSpi("fragid", id),
      ...formatTest("fraglen", length, String),
      ...flags.map((name) => `--${name}`),
    ].join(" "),
  isPure: true,
  // The kernel keeps --fraglen and never looks at it.
  matches({ id, flags }, skb) {
    const found = findHeader(skb, IPPROTO_FRAGMENT);
    if (typeof found !== "object") return found;
    const { bytes } = found;
    if (bytes.length < FRAGMENT_HLEN) return "hotdrop";
    return (
      fitsSpi(get32(bytes, 4), id) &&
      flags.every((name) => FLAG_TESTS[name]?.(get16(bytes, 2), get8(bytes, 1)) === true)
    );
  },
  why: (_, skb) =>
    findHeader(skb, IPPROTO_FRAGMENT) === false
      ? "packet has no fragment header"
      : "the fragment header differs",
});

const FRAGMENT_HLEN = 8;

/** By the 16 bits of offset and flags, and the reserved byte. */
const FLAG_TESTS: Readonly<Record<string, (place: number, reserved: number) => boolean>> = {
  fragres: (place, reserved) => reserved === 0 && (place & 6) === 0,
  fragfirst: (place) => (place & 0xfff8) === 0,
  fragmore: (place) => (place & 1) !== 0,
  fraglast: (place) => (place & 1) === 0,
};
