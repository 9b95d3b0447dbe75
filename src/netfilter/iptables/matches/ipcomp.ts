import { type MatchExtension, defineMatch } from "../extension.js";
import { flag } from "../options.js";
import type { Negatable } from "../values.js";
import { formatSpi, matchesSpi, payloadWord, spiOption, type SpiRange } from "./spi.js";

interface Ipcomp {
  readonly spi: Negatable<SpiRange> | undefined;
  readonly reserved: boolean;
}

const SPI = spiOption("ipcompspi");
const NONE: Negatable<SpiRange> = { value: { low: 0, high: 0, single: true }, invert: false };
const RESERVED = flag("compres");

/** `-m ipcomp`: the compression parameter index, 16 bits at offset 2. */
export const ipcomp: MatchExtension = defineMatch<Ipcomp>({
  name: "ipcomp",
  mirrors: "net/netfilter/xt_ipcomp.c:comp_mt()",
  fidelity: "exact",
  examples: ["-p ipcomp|--ipcompspi 18", "-p ipcomp|! --ipcompspi 5:70 --compres"],
  options: [SPI, RESERVED],
  only: { protocols: [108] },
  // The tool begins with an index of 0, not with all of them; the kernel keeps --compres and never looks at it.
  parse: (args) => ({ spi: args.get(SPI) ?? NONE, reserved: args.has(RESERVED) }),
  format: ({ spi, reserved }) =>
    [...formatSpi("ipcompspi", spi), ...(reserved ? ["--compres"] : [])].join(" "),
  matches({ spi }, skb) {
    const whole = matchesSpi(skb, { at: 0, size: 4 }, undefined);
    const word = payloadWord(skb, 0);
    if (whole !== true || word === undefined) return whole;
    const cpi = word & 0xffff;
    return spi === undefined || (cpi >= spi.value.low && cpi <= spi.value.high) !== spi.invert;
  },
});
