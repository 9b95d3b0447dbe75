import { get16, get32 } from "../../../wire/bytes.js";
import { IPPROTO_AH } from "../../../wire/ipv6-extension.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { findHeader } from "../find-header.js";
import { flag, option } from "../options.js";
import { formatTest, type Negatable, u32 } from "../values.js";
import { fitsSpi, formatSpi, spiOption, type SpiRange } from "./spi.js";

interface Ah6 {
  readonly spi: Negatable<SpiRange> | undefined;
  readonly length: Negatable<number> | undefined;
  readonly reserved: boolean;
}

/** In bytes, without the authentication data. */
const AH_HLEN = 12;

const SPI = spiOption("ahspi");
const LEN = option("ahlen", u32, { not: true });
const RES = flag("ahres");

/** `-m ah` of IPv6. */
export const ah6: MatchExtension = defineMatch<Ah6>({
  name: "ah",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_ah.c:ah_mt6()",
  fidelity: "exact",
  examples: ["--ahspi 500", "! --ahlen 20 --ahres"],
  options: [SPI, LEN, RES],
  parse: (args) => ({ spi: args.get(SPI), length: args.get(LEN), reserved: args.has(RES) }),
  format: ({ spi, length, reserved }) =>
    [
      ...formatSpi("ahspi", spi),
      ...formatTest("ahlen", length, String),
      ...(reserved ? ["--ahres"] : []),
    ].join(" "),
  isPure: true,
  matches({ spi, length, reserved }, skb) {
    const found = findHeader(skb, IPPROTO_AH);
    if (typeof found !== "object") return found;
    const { bytes } = found;
    if (bytes.length < AH_HLEN) return "hotdrop";
    if (!fitsSpi(get32(bytes, 4), spi)) return false;
    if (length !== undefined && length.value !== 0)
      if ((length.value === found.length) === length.invert) return false;
    return !reserved || get16(bytes, 2) === 0;
  },
  why: (_, skb) =>
    findHeader(skb, IPPROTO_AH) === false
      ? "packet has no authentication header"
      : "the authentication header differs",
});
