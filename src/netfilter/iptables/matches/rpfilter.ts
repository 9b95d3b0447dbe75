import { type MatchExtension, defineMatch } from "../extension.js";
import { flag } from "../options.js";

const FLAGS = ["loose", "validmark", "accept-local", "invert"].map((name) => flag(name));

/** `-m rpfilter`: whether the way back to the source leads by the device it came in. */
export const rpfilter: MatchExtension = defineMatch<readonly string[]>({
  name: "rpfilter",
  mirrors: "net/ipv4/netfilter/ipt_rpfilter.c:rpfilter_mt()",
  fidelity: "unmodelled",
  examples: ["", "--loose", "--validmark --accept-local --invert"],
  options: FLAGS,
  only: { tables: ["raw", "mangle"], hooks: ["PREROUTING"] },
  parse: (args) => FLAGS.filter((spec) => args.has(spec)).map((spec) => `--${spec.names[0]}`),
  format: (words) => words.join(" "),
});
