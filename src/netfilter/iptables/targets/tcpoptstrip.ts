import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { withTcp } from "../rewrite.js";

const NAMES: ReadonlyMap<string, number> = new Map([
  ["wscale", 3],
  ["mss", 2],
  ["sack-permitted", 4],
  ["sack", 5],
  ["timestamp", 8],
  ["md5", 19],
]);
const NOP = 1;

const STRIP = option("strip-options", readKinds);

/** `-j TCPOPTSTRIP`: overwrites TCP options with NOPs. */
export const tcpoptstrip: TargetExtension = defineTarget<readonly number[]>({
  name: "TCPOPTSTRIP",
  mirrors: "net/netfilter/xt_TCPOPTSTRIP.c:tcpoptstrip_mangle_packet()",
  fidelity: "exact",
  examples: ["-p tcp|--strip-options 3,5,8"],
  options: [STRIP],
  only: { tables: ["mangle"], protocols: [6] },
  check(args) {
    if (args.all.length === 0) throw refuse("TCPOPTSTRIP: Option --strip-options must be used");
  },
  parse: (args) => args.need(STRIP).value,
  format: (kinds) => `--strip-options ${kinds.join(",")}`,
  apply(kinds, skb) {
    skb.frame = withTcp(skb.frame, (header) => ({
      ...header,
      options: stripped(header.options, kinds),
    }));
    return CONTINUE;
  },
});

function readKinds(text: string): readonly number[] {
  const kinds = text.split(",").map((word) => {
    const kind = NAMES.get(word) ?? parseNumber(word, 0, 255);
    if (kind === undefined) throw refuse(`Bad TCP option value "${word}"`);
    if (kind < 2) throw refuse("Option value may not be 0 or 1");
    return kind;
  });
  return [...new Set(kinds)].toSorted((a, b) => a - b);
}

function stripped(options: Uint8Array, kinds: readonly number[]): Uint8Array {
  const bytes = Uint8Array.from(options);
  for (let at = 0; at < bytes.length;) {
    const kind = bytes[at] ?? 0;
    const length = kind < 2 ? 1 : Math.max(1, bytes[at + 1] ?? 1);
    if (at + length > bytes.length) break;
    if (kinds.includes(kind)) bytes.fill(NOP, at, at + length);
    at += length;
  }
  return bytes;
}
