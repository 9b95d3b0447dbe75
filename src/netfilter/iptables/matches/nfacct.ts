import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { string } from "../values.js";

const NAME = option("nfacct-name", string(1, 31), { must: true });

/** `-m nfacct`: adds the packet to an accounting object and matches; the object's numbers are not kept. */
export const nfacct: MatchExtension = defineMatch<string>({
  name: "nfacct",
  mirrors: "net/netfilter/xt_nfacct.c:nfacct_mt()",
  fidelity: "simplified",
  examples: ["--nfacct-name  acct1"],
  options: [NAME],
  parse: (args) => args.need(NAME).value,
  format: (name) => `--nfacct-name  ${name}`,
  refuses: (name, { environment }) =>
    environment.account?.(name) === true ? undefined : "No such file or directory",
  matches: () => true,
});
