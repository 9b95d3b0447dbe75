import { connectionOf } from "../../conntrack/connection.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { formatTest, type Negatable, text } from "../values.js";
import { quoteText } from "../words.js";

const HELPER = option("helper", text, { not: true, must: true });

/** `-m helper`: the helper of the connection's master. Without one the result is the negation alone. */
export const helper: MatchExtension = defineMatch<Negatable<string>>({
  name: "helper",
  mirrors: "net/netfilter/xt_helper.c:helper_mt()",
  fidelity: "exact",
  examples: ["--helper ftp", "! --helper ftp-2121", '--helper ""'],
  options: [HELPER],
  tracks: true,
  parse: (args) => args.need(HELPER),
  format: (test) => formatTest("helper", test, quoteText).join(" "),
  matches({ value, invert }, skb) {
    const name = connectionOf(skb)?.master?.ext?.help?.helper.name;
    if (name === undefined) return invert;
    // The kernel compares as many characters as its own name has: `ftp-2121` is `ftp` too.
    return (value === "" || value.startsWith(name)) !== invert;
  },
  why(_, skb) {
    const master = connectionOf(skb)?.master;
    const name = master?.ext?.help?.helper.name;
    return name === undefined
      ? "the connection was not expected by a helper"
      : `the connection was expected by helper ${name}`;
  },
});
