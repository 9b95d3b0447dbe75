import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { formatFlag, formatTest, text, u16 } from "../values.js";

const IPVS = flag("ipvs", { not: true });
const VPROTO = option("vproto", text, { not: true });
const VADDR = option("vaddr", text, { not: true });
const VPORT = option("vport", u16, { not: true });
const VDIR = option("vdir", text);
const VMETHOD = option("vmethod", text, { not: true });
const VPORTCTL = option("vportctl", u16, { not: true });

/** `-m ipvs`: properties of an IPVS connection. The recording kernel has no such module. */
export const ipvs: MatchExtension = defineMatch<readonly string[]>({
  name: "ipvs",
  mirrors: "net/netfilter/xt_ipvs.c:ipvs_mt()",
  fidelity: "unmodelled",
  examples: ["--ipvs", "--vaddr 10.0.0.1 --vport 80 --vdir ORIGINAL --vmethod MASQ"],
  options: [IPVS, VPROTO, VADDR, VPORT, VDIR, VMETHOD, VPORTCTL],
  missingInKernel: true,
  parse: (args) => [
    ...formatFlag("ipvs", args.get(IPVS)),
    ...formatTest("vproto", args.get(VPROTO), text),
    ...formatTest("vaddr", args.get(VADDR), text),
    ...formatTest("vport", args.get(VPORT), String),
    ...formatTest("vdir", args.get(VDIR), text),
    ...formatTest("vmethod", args.get(VMETHOD), text),
    ...formatTest("vportctl", args.get(VPORTCTL), String),
  ],
  format: (words) => words.join(" "),
});
