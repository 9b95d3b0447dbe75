import { type MatchExtension, defineMatch } from "../extension.js";
import type { Negatable } from "../values.js";
import { formatSpi, matchesSpi, spiOption, type SpiRange } from "./spi.js";

/** The index in a header of 12 bytes, without its data. */
const AH = { at: 4, size: 12 };

const SPI = spiOption("ahspi");

/** `-m ah` of IPv4: the index in an authentication header. */
export const ah: MatchExtension = defineMatch<Negatable<SpiRange> | undefined>({
  name: "ah",
  family: "ipv4",
  mirrors: "net/ipv4/netfilter/ipt_ah.c:ah_mt()",
  fidelity: "exact",
  examples: ["-p ah|--ahspi 500", "-p ah|! --ahspi 500:600", "-p ah|"],
  options: [SPI],
  only: { protocols: [51] },
  parse: (args) => args.get(SPI),
  format: (test) => formatSpi("ahspi", test).join(" "),
  matches: (test, skb) => matchesSpi(skb, AH, test),
});
