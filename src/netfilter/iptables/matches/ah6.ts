import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { formatTest, type Negatable, u32 } from "../values.js";
import { formatSpi, spiOption, type SpiRange } from "./spi.js";

interface Ah6 {
  readonly spi: Negatable<SpiRange> | undefined;
  readonly length: Negatable<number> | undefined;
  readonly reserved: boolean;
}

const SPI = spiOption("ahspi");
const LEN = option("ahlen", u32, { not: true });
const RES = flag("ahres");

/** `-m ah` of IPv6. */
export const ah6: MatchExtension = defineMatch<Ah6>({
  name: "ah",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_ah.c:ah_mt6()",
  fidelity: "unmodelled",
  examples: ["--ahspi 500", "! --ahlen 20 --ahres"],
  options: [SPI, LEN, RES],
  parse: (args) => ({ spi: args.get(SPI), length: args.get(LEN), reserved: args.has(RES) }),
  format: ({ spi, length, reserved }) =>
    [
      ...formatSpi("ahspi", spi),
      ...formatTest("ahlen", length, String),
      ...(reserved ? ["--ahres"] : []),
    ].join(" "),
});
