import type { SkBuff } from "../../../core/skbuff.js";
import { IPPROTO_DSTOPTS, IPPROTO_HOPOPTS } from "../../../wire/ipv6-extension.js";
import { type MatchExtension, type MatchResult, defineMatch } from "../extension.js";
import { findHeader } from "../find-header.js";
import { leadingNumber } from "../numbers.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { formatTest, type Negatable, u32 } from "../values.js";

interface HeaderOptions {
  readonly length: Negatable<number> | undefined;
  /** Types, and lengths where they count, both modulo 256. */
  readonly options: readonly HeaderOption[] | undefined;
}

interface HeaderOption {
  readonly type: number;
  readonly length: number | undefined;
}

/** `-m hbh` and `-m dst` of IPv6, which differ in their names alone. */
export function optionsHeader(name: "hbh" | "dst", mirrors: string): MatchExtension {
  const type = name === "hbh" ? IPPROTO_HOPOPTS : IPPROTO_DSTOPTS;
  const length = option(`${name}-len`, u32, { not: true });
  const list = option(`${name}-opts`, (text) => readOptions(name, text));
  return defineMatch<HeaderOptions>({
    name,
    family: "ipv6",
    mirrors,
    fidelity: "exact",
    examples: [`--${name}-len 16`, `! --${name}-len 16 --${name}-opts 5,194:4,0`],
    options: [length, list],
    parse: (args) => ({ length: args.get(length), options: args.value(list) }),
    format: (params) =>
      [
        ...formatTest(`${name}-len`, params.length, String),
        ...(params.options === undefined
          ? []
          : [`--${name}-opts ${params.options.map(formatOption).join(",")}`]),
      ].join(" "),
    isPure: true,
    matches: (params, skb) => matchesOptions(params, skb, type),
    why: (_, skb) =>
      findHeader(skb, type) === false
        ? `packet has no ${name === "hbh" ? "hop-by-hop" : "destination"} options`
        : "the options differ",
  });
}

function formatOption({ type, length }: HeaderOption): string {
  return length === undefined ? String(type) : `${type}:${length}`;
}

/** Mirrors net/ipv6/netfilter/ip6t_hbh.c:hbh_mt6(). */
function matchesOptions(
  { length, options }: HeaderOptions,
  skb: SkBuff,
  type: number,
): MatchResult {
  const found = findHeader(skb, type);
  if (typeof found !== "object") return found;
  if (found.bytes.length < found.length) return "hotdrop";
  const fits = length === undefined || (length.value === found.length) !== length.invert;
  return (
    fits && (options === undefined || startsWith(found.bytes.subarray(2, found.length), options))
  );
}

/** Whether the header's first options are these, padding among them. */
function startsWith(bytes: Uint8Array, wanted: readonly HeaderOption[]): boolean {
  let at = 0;
  for (const { type, length } of wanted) {
    if (at >= bytes.length || bytes[at] !== type) return false;
    // One byte of padding has no length.
    if (type === 0) {
      at += 1;
      continue;
    }
    if (at + 1 >= bytes.length) return false;
    const own = bytes[at + 1] ?? 0;
    if (length !== undefined && length !== own) return false;
    at += own + 2;
  }
  return true;
}

/** Tool and kernel keep that a length does not count as 255. */
function lengthOf(given: number): number | undefined {
  return given === 255 ? undefined : given;
}

function readOptions(name: string, text: string): readonly HeaderOption[] {
  const parts = text.split(",");
  if (parts.length > 16) throw refuse("too many addresses specified");
  return parts.map((part) => {
    const [type = "", length] = part.split(":");
    return {
      type: readByte(name, type),
      length: length === undefined ? undefined : lengthOf(readByte(name, length)),
    };
  });
}

function readByte(name: string, text: string): number {
  const number = /^0x[0-9a-f]+/i.test(text) ? Number(text) : leadingNumber(text);
  if (number === undefined || Number.isNaN(number))
    throw refuse(`${name}: no valid digits in opt \`${text}'`);
  return number & 0xff;
}
