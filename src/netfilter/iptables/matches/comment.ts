import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { cutBytes } from "../values.js";
import { quoteText } from "../words.js";

const COMMENT = option("comment", (text) => cutBytes(text, 255), { must: true });

/** `-m comment --comment text`: always true; the text is cut to 255 bytes. */
export const comment: MatchExtension = defineMatch<string>({
  name: "comment",
  mirrors: "net/netfilter/xt_comment.c:comment_mt()",
  fidelity: "exact",
  examples: [
    "--comment hello",
    '--comment "default/web:http cluster IP"',
    '--comment "it\\\'s"',
    '--comment ""',
  ],
  options: [COMMENT],
  parse: (args) => args.need(COMMENT).value,
  format: (text) => `--comment ${quoteText(text)}`,
  isPure: true,
  matches: () => true,
});
