import { encodeIpPacket } from "../../../wire/frame.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { hex } from "../numbers.js";
import { option } from "../options.js";
import { not } from "../values.js";
import { formatU32, holdsU32, parseU32, type U32Test } from "../u32-language.js";

const U32 = option("u32", parseU32, { not: true, must: true });

/** `-m u32 --u32 "tests"`: compares 32-bit words of the packet after shifts, masks and jumps. */
export const u32: MatchExtension = defineMatch<{
  readonly tests: readonly U32Test[];
  readonly invert: boolean;
}>({
  name: "u32",
  mirrors: "net/netfilter/xt_u32.c:u32_mt()",
  fidelity: "exact",
  examples: [
    '--u32 "0x0&0xffff=0x100:0xffff"',
    '! --u32 "0x6&0xff=0x1&&0x0>>0x16&0x3c@0x0>>0x18=0x0:0x5,0xa"',
  ],
  options: [U32],
  parse(args) {
    const { value, invert } = args.need(U32);
    return { tests: value, invert };
  },
  format: ({ tests, invert }) => `${not(invert)}--u32 "${formatU32(tests, hex)}"`,
  matches: ({ tests, invert }, skb) => holdsU32(tests, encodeIpPacket(skb.frame)) !== invert,
  why: () => "the packet's words differ",
});
