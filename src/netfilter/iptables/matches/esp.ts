import { type MatchExtension, defineMatch } from "../extension.js";
import type { Negatable } from "../values.js";
import { formatSpi, matchesSpi, spiOption, type SpiRange } from "./spi.js";

/** The index, and a sequence number behind it. */
const ESP = { at: 0, size: 8 };

const SPI = spiOption("espspi");

/** `-m esp`: the index in an encapsulating header. */
export const esp: MatchExtension = defineMatch<Negatable<SpiRange> | undefined>({
  name: "esp",
  mirrors: "net/netfilter/xt_esp.c:esp_mt()",
  fidelity: "exact",
  examples: ["-p esp|--espspi 500", "-p esp|! --espspi 500:600", "-p esp|--espspi 9:1"],
  options: [SPI],
  only: { protocols: [50] },
  parse: (args) => args.get(SPI),
  format: (test) => formatSpi("espspi", test).join(" "),
  matches: (test, skb) => matchesSpi(skb, ESP, test),
});
