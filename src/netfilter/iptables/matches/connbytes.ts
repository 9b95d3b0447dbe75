import { type MatchExtension, defineMatch } from "../extension.js";
import { parseBig } from "../numbers.js";
import { option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import { not } from "../values.js";

interface Connbytes {
  readonly low: bigint;
  /** Undefined for no upper bound. */
  readonly high: bigint | undefined;
  readonly invert: boolean;
  readonly direction: "original" | "reply" | "both";
  readonly mode: "packets" | "bytes" | "avgpkt";
}

const RANGE = option("connbytes", readRange, { not: true, must: true });
const DIR = option(
  "connbytes-dir",
  (text) => oneOf(text, ["original", "reply", "both"] as const, "connbytes-dir"),
  { must: true },
);
const MODE = option(
  "connbytes-mode",
  (text) => oneOf(text, ["packets", "bytes", "avgpkt"] as const, "connbytes-mode"),
  { must: true },
);

/** `-m connbytes`: what the connection has carried, this packet included; false for connections that are not counted. */
export const connbytes: MatchExtension = defineMatch<Connbytes>({
  name: "connbytes",
  mirrors: "net/netfilter/xt_connbytes.c:connbytes_mt()",
  fidelity: "exact",
  examples: [
    "--connbytes 100 --connbytes-mode bytes --connbytes-dir original",
    "! --connbytes 100:200 --connbytes-mode avgpkt --connbytes-dir both",
  ],
  options: [RANGE, DIR, MODE],
  tracks: true,
  parse(args) {
    const { value, invert } = args.need(RANGE);
    return { ...value, invert, direction: args.need(DIR).value, mode: args.need(MODE).value };
  },
  format: ({ low, high, invert, direction, mode }) =>
    `${not(invert)}--connbytes ${low}${high === undefined ? "" : `:${high}`} --connbytes-mode ${mode} --connbytes-dir ${direction}`,
  matches({ low, high, invert, direction, mode }, skb) {
    const counters = skb.ct?.entry?.counters;
    if (counters === undefined) return false;
    const sides =
      direction === "both" ? [counters.original, counters.reply] : [counters[direction]];
    const packets = sides.reduce((sum, side) => sum + side.packets, 0);
    const bytes = sides.reduce((sum, side) => sum + side.bytes, 0);
    const average = packets === 0 ? 0 : Math.floor(bytes / packets);
    const what = BigInt(mode === "packets" ? packets : mode === "bytes" ? bytes : average);
    return (what >= low && (high === undefined || what <= high)) !== invert;
  },
  why: (_, skb) =>
    skb.ct?.entry?.counters === undefined
      ? "connection is not counted"
      : "connection has carried more or less",
});

function readRange(
  text: string,
  { owner, option: name }: OptionUse,
): { readonly low: bigint; readonly high: bigint | undefined } {
  const parts = text.split(":");
  if (parts.length > 2)
    throw refuse(`${owner}: Too many components for option "--${name}" (max: 2)\n`);
  const bound = (part: string): bigint => {
    const value = parseBig(part);
    if (value === undefined || value > 0xffff_ffff_ffff_ffffn) {
      throw refuse(
        `${owner}: bad value for option "--${name}" near "${part}", or out of range (0-18446744073709551615).\n`,
      );
    }
    return value;
  };
  const low = parts[0] === "" && parts.length === 2 ? 0n : bound(parts[0] ?? "");
  const high = parts[1] === undefined || parts[1] === "" ? undefined : bound(parts[1]);
  if (high !== undefined && high < low) throw refuse(`${low} should be less than ${high}`);
  return { low, high };
}

function oneOf<T extends string>(text: string, known: readonly T[], name: string): T {
  const found = known.find((word) => word === text);
  if (found === undefined) throw refuse(`Unknown --${name} \`${text}'`);
  return found;
}
