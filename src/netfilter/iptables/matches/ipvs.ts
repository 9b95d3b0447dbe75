import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, type OptionArgs, option } from "../options.js";
import { formatFlag, formatTest, text, u16 } from "../values.js";

const IPVS = flag("ipvs", { not: true });
const VPROTO = option("vproto", text, { not: true });
const VADDR = option("vaddr", text, { not: true });
const VPORT = option("vport", u16, { not: true });
const VDIR = option("vdir", text);
const VMETHOD = option("vmethod", text, { not: true });
const VPORTCTL = option("vportctl", u16, { not: true });

interface Ipvs {
  readonly words: readonly string[];
  /** Whether it asks for IPVS alone, and whether for packets without; undefined when it asks for more. */
  readonly wantsNone: boolean | undefined;
}

/**
 * `-m ipvs`: properties of an IPVS connection. There is no IPVS here, so no packet has any: only `! --ipvs` by itself fits. A
 * dump that has virtual servers makes the answer UNKNOWN (src/lab/recorded/not-modelled.ts). The recording kernel has no such
 * module.
 */
export const ipvs: MatchExtension = defineMatch<Ipvs>({
  name: "ipvs",
  mirrors: "net/netfilter/xt_ipvs.c:ipvs_mt()",
  fidelity: "exact",
  examples: ["--ipvs", "--vaddr 10.0.0.1 --vport 80 --vdir ORIGINAL --vmethod MASQ"],
  options: [IPVS, VPROTO, VADDR, VPORT, VDIR, VMETHOD, VPORTCTL],
  missingInKernel: true,
  parse: (args) => {
    const property = args.get(IPVS);
    const asksMore = [VPROTO, VADDR, VPORT, VDIR, VMETHOD, VPORTCTL].some((spec) => args.has(spec));
    return {
      words: wordsOf(args),
      wantsNone: property === undefined || asksMore ? undefined : property.invert,
    };
  },
  format: ({ words }) => words.join(" "),
  isPure: true,
  matches: ({ wantsNone }) => wantsNone === true,
  why: ({ wantsNone }) =>
    wantsNone === false ? "packet did not pass IPVS" : "packet belongs to no connection of IPVS",
});

function wordsOf(args: OptionArgs): readonly string[] {
  return [
    ...formatFlag("ipvs", args.get(IPVS)),
    ...formatTest("vproto", args.get(VPROTO), text),
    ...formatTest("vaddr", args.get(VADDR), text),
    ...formatTest("vport", args.get(VPORT), String),
    ...formatTest("vdir", args.get(VDIR), text),
    ...formatTest("vmethod", args.get(VMETHOD), text),
    ...formatTest("vportctl", args.get(VPORTCTL), String),
  ];
}
