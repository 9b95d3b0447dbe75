import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { formatTest, type Negatable, u32 } from "../values.js";
import { formatSpi, spiOption, type SpiRange } from "./spi.js";

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
  fidelity: "unmodelled",
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
});
