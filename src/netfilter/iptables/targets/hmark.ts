import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { type HmarkFields, hmarkOf } from "../hmark-hash.js";
import { hex } from "../numbers.js";
import { option, type OptionArgs, type OptionSpec } from "../options.js";
import { refuse } from "../refusal.js";
import { u16, u32, unsigned } from "../values.js";

const TUPLE = ["src", "dst", "sport", "dport", "spi", "proto", "ct"] as const;

const TUPLE_OPTION = option("hmark-tuple", readTuple);
const SRC = option("hmark-src-prefix", unsigned(0, 128));
const DST = option("hmark-dst-prefix", unsigned(0, 128));
const SPORT_MASK = option("hmark-sport-mask", u16);
const DPORT_MASK = option("hmark-dport-mask", u16);
const SPI_MASK = option("hmark-spi-mask", u32);
const SPORT = option("hmark-sport", u16);
const DPORT = option("hmark-dport", u16);
const SPI = option("hmark-spi", u32);
const PROTO_MASK = option("hmark-proto-mask", u16);
const RND = option("hmark-rnd", u32);
const MOD = option("hmark-mod", unsigned(1, 0xffff_ffff));
const OFFSET = option("hmark-offset", u32);

interface Hmark {
  readonly words: readonly string[];
  readonly fields: HmarkFields;
  /** Both an SPI and ports are asked for. */
  readonly contradicts: boolean;
}

/** `-j HMARK`: a mark from a hash of the flow. */
export const hmark: TargetExtension = defineTarget<Hmark>({
  name: "HMARK",
  mirrors: "net/netfilter/xt_HMARK.c:hmark_tg_v4()",
  fidelity: "exact",
  examples: [
    "--hmark-src-prefix 32 --hmark-dst-prefix 32 --hmark-rnd 0x0000feed --hmark-mod 10 --hmark-offset 1",
    "--hmark-src-prefix 32 --hmark-dst-prefix 32 --hmark-rnd 0x0000feed --hmark-mod 10 --hmark-offset 0",
  ],
  options: [
    TUPLE_OPTION,
    SRC,
    DST,
    SPORT_MASK,
    DPORT_MASK,
    SPI_MASK,
    SPORT,
    DPORT,
    SPI,
    PROTO_MASK,
    RND,
    MOD,
    OFFSET,
  ],
  check(args) {
    if (!args.has(MOD)) throw refuse("--hmark-mod is mandatory");
    if (!args.has(RND)) throw refuse("--hmark-rnd is mandatory");
  },
  parse: (args, context) => ({
    words: wordsOf(args, context),
    fields: fieldsOf(args, context),
    contradicts: contradicts(args),
  }),
  format: ({ words }) => words.join(" "),
  refuses: (params) => (params.contradicts ? "Invalid argument" : undefined),
  apply({ fields }, skb) {
    skb.mark = hmarkOf(fields, skb) ?? skb.mark;
    return CONTINUE;
  },
});

/** Mirrors iptables/extensions/libxt_HMARK.c: what is left out does not count. */
function fieldsOf(args: OptionArgs, { family }: { readonly family: "ipv4" | "ipv6" }): HmarkFields {
  const tuple = args.value(TUPLE_OPTION) ?? [];
  const bits = family === "ipv4" ? 32 : 128;
  const of = (part: string, spec: OptionSpec<number>, whole: number): number =>
    args.value(spec) ?? (tuple.includes(part) ? whole : 0);
  const ports = (of("sport", SPORT_MASK, 0xffff) << 16) | of("dport", DPORT_MASK, 0xffff);
  const set = ((args.value(SPORT) ?? 0) << 16) | (args.value(DPORT) ?? 0);
  return {
    sourceLength: of("src", SRC, bits),
    destinationLength: of("dst", DST, bits),
    portMask: (ports | of("spi", SPI_MASK, 0xffff_ffff)) >>> 0,
    portSet: (set | (args.value(SPI) ?? 0)) >>> 0,
    protocolMask: of("proto", PROTO_MASK, 0xffff),
    seed: args.need(RND).value,
    modulus: args.need(MOD).value,
    offset: args.value(OFFSET) ?? 0,
    byConnection: tuple.includes("ct"),
  };
}

/** Mirrors net/netfilter/xt_HMARK.c:hmark_tg_check(). */
function contradicts(args: OptionArgs): boolean {
  const tuple = args.value(TUPLE_OPTION) ?? [];
  const masks =
    (args.has(SPI_MASK) || tuple.includes("spi")) &&
    (args.has(SPORT_MASK) || args.has(DPORT_MASK) || tuple.some((part) => part.endsWith("port")));
  return masks || (args.has(SPI) && (args.has(SPORT) || args.has(DPORT)));
}

function readTuple(text: string): readonly string[] {
  return text.split(",").map((word) => {
    if (!TUPLE.some((part) => part === word)) throw refuse(`Bad type "${word}"`);
    return word;
  });
}

function wordsOf(
  args: OptionArgs,
  { family }: { readonly family: "ipv4" | "ipv6" },
): readonly string[] {
  const tuple = args.value(TUPLE_OPTION) ?? [];
  const bits = family === "ipv4" ? 32 : 128;
  const words: string[] = [];
  const add = (
    part: string,
    spec: OptionSpec<number>,
    whole: number,
    format: (value: number) => string,
  ): void => {
    const value = args.value(spec) ?? (tuple.includes(part) ? whole : undefined);
    if (value !== undefined) words.push(`--${spec.names[0]} ${format(value)}`);
  };
  add("src", SRC, bits, String);
  add("dst", DST, bits, String);
  add("sport", SPORT_MASK, 0xffff, (value) => hex(value, 4));
  add("dport", DPORT_MASK, 0xffff, (value) => hex(value, 4));
  add("spi", SPI_MASK, 0xffff_ffff, (value) => hex(value, 8));
  add("", SPORT, 0, (value) => hex(value, 4));
  add("", DPORT, 0, (value) => hex(value, 4));
  add("", SPI, 0, (value) => hex(value, 8));
  add("proto", PROTO_MASK, 0xffff, (value) => hex(value, 2));
  add("", RND, 0, (value) => hex(value, 8));
  add("", MOD, 0, String);
  const offset = args.value(OFFSET);
  if (offset !== undefined) words.push(`--hmark-offset ${offset}`);
  if (tuple.includes("ct")) words.push("--hmark-tuple ct");
  return words;
}
