import { encodeIpPacket } from "../../../wire/frame.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";
import { latin, textBytes } from "../pattern-bytes.js";
import { not, string as textOption, u16 } from "../values.js";

interface StringMatch {
  readonly pattern: readonly number[];
  readonly invert: boolean;
  readonly algo: string;
  readonly from: number;
  readonly to: number;
  readonly ignoreCase: boolean;
}

const FROM = option("from", u16);
const TO = option("to", u16);
const ALGO = option("algo", textOption(0, 15), { must: true });
const STRING = option("string", (text, use) => textBytes(textOption(0, 128)(text, use)), {
  not: true,
  excludes: ["hex-string"],
});
const HEX = option("hex-string", readHex, { not: true, excludes: ["string"] });
const ICASE = flag("icase");

/** `-m string`: bytes anywhere in the packet from the IP header on; they must start at `from` or later and end by `to`. */
export const string: MatchExtension = defineMatch<StringMatch>({
  name: "string",
  mirrors: "net/netfilter/xt_string.c:string_mt()",
  fidelity: "exact",
  examples: [
    '--string "GET /" --algo bm',
    '! --string "x" --algo kmp --from 20 --to 100 --icase',
    '--hex-string "|deadbeef|" --algo bm',
  ],
  options: [FROM, TO, ALGO, STRING, HEX, ICASE],
  check(args) {
    if (args.has(ALGO) && !args.has(STRING) && !args.has(HEX))
      throw refuse("STRING match: You must specify `--string' or `--hex-string'");
  },
  parse(args) {
    const { value, invert } = args.get(STRING) ?? args.need(HEX);
    return {
      pattern: value,
      invert,
      algo: args.need(ALGO).value,
      from: args.value(FROM) ?? 0,
      to: args.value(TO) ?? 65_535,
      ignoreCase: args.has(ICASE),
    };
  },
  format({ pattern, invert, algo, from, to, ignoreCase }) {
    const words = [`${not(invert)}${formatPattern(pattern)}`, `--algo ${algo}`];
    if (from !== 0) words.push(`--from ${from}`);
    if (to !== 0 && to !== 65_535) words.push(`--to ${to}`);
    if (ignoreCase) words.push("--icase");
    return words.join(" ");
  },
  refuses({ pattern, algo }) {
    if (algo !== "bm" && algo !== "kmp" && algo !== "fsm") return "No such file or directory";
    return pattern.length === 0 ? "Invalid argument" : undefined;
  },
  matches({ pattern, invert, from, to, ignoreCase }, skb) {
    const fold = (byte: number): number =>
      ignoreCase && byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    const bytes = encodeIpPacket(skb.frame);
    const end = Math.min(bytes.length, to + (to === 65_535 ? 1 : 0));
    const wanted = pattern.map(fold);
    for (let at = from; at + wanted.length <= end; at++) {
      if (wanted.every((byte, index) => fold(bytes[at + index] ?? -1) === byte)) return !invert;
    }
    return invert;
  },
  why: ({ invert }) => (invert ? "the bytes are in the packet" : "the bytes are not in the packet"),
});

/** Text as long as all of it can be seen and does not end in a backslash; else hex. */
function formatPattern(pattern: readonly number[]): string {
  const isText = pattern.every((byte) => byte >= 0x20 && byte < 0x7f) && pattern.at(-1) !== 0x5c;
  if (isText) return `--string "${latin(pattern).replace(/["\\]/g, (char) => `\\${char}`)}"`;
  return `--hex-string "|${pattern.map((byte) => byte.toString(16).padStart(2, "0")).join("")}|"`;
}

/** `text|0d 0a|text`; a backslash keeps the next byte as it is. Mirrors extensions/libxt_string.c:parse_hex_string(). */
function readHex(given: string): readonly number[] {
  const source = textBytes(given);
  const char = (at: number): string => String.fromCharCode(source[at] ?? 0);
  const bytes: number[] = [];
  let inHex = false;
  for (let at = 0; at < source.length;) {
    if (char(at) === "|") {
      inHex = !inHex;
      while (inHex && char(at + 1) === " ") at++;
      if (++at >= source.length) break;
    }
    if (char(at) === "\\" && inHex) throw refuse("Cannot include literals in hex data");
    if (char(at) === "\\") {
      if (at + 1 >= source.length) throw refuse("Bad literal placement at end of string");
      bytes.push(source[at + 1] ?? 0);
      at += 2;
    } else if (inHex) {
      if (at + 1 >= source.length) throw refuse("Odd number of hex digits");
      if (at + 2 >= source.length) throw refuse("Invalid hex block");
      const bad = [char(at), char(at + 1)].find((digit) => !/[0-9a-f]/i.test(digit));
      if (bad !== undefined) throw refuse(`Invalid hex char '${bad}'`);
      bytes.push(Number.parseInt(char(at) + char(at + 1), 16));
      at += char(at + 2) === " " ? 3 : 2;
    } else bytes.push(source[at++] ?? 0);
    if (bytes.length > 128) throw refuse(`STRING too long "${given}"`);
  }
  return bytes;
}
