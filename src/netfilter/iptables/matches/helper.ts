import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { formatTest, type Negatable, text } from "../values.js";
import { quoteText } from "../words.js";

const HELPER = option("helper", text, { not: true, must: true });

/** `-m helper`: the helper of the connection's master. Without one the result is the negation alone. */
export const helper: MatchExtension = defineMatch<Negatable<string>>({
  name: "helper",
  mirrors: "net/netfilter/xt_helper.c:helper_mt()",
  fidelity: "simplified",
  examples: ["--helper ftp", "! --helper ftp-2121", '--helper ""'],
  options: [HELPER],
  tracks: true,
  parse: (args) => args.need(HELPER),
  format: (test) => formatTest("helper", test, quoteText).join(" "),
  matches: ({ invert }, skb) => (skb.ct?.entry?.master === undefined ? invert : "unknown"),
  why: () => "the connection was not expected by a helper",
});
