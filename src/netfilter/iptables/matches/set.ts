import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option, type OptionSpec } from "../options.js";
import { refuse } from "../refusal.js";
import { formatSetUse, readSetUse, type SetUse } from "../set-use.js";
import { formatFlag, formatTest, type Negatable, u64 } from "../values.js";

interface SetMatch {
  readonly set: Negatable<SetUse>;
  readonly rest: readonly string[];
}

const MATCH_SET = option("match-set", readSetUse, {
  not: true,
  alias: "set",
  second: "--match-set requires two args.",
  onlyOnce: "--match-set can be specified only once",
});
const NOMATCH = flag("return-nomatch");
const UPDATE = flag("update-counters", { not: true });
const SUBUPDATE = flag("update-subcounters", { not: true });
const NUMBERS: readonly OptionSpec<bigint>[] = ["packets", "bytes"].flatMap((what) =>
  ["eq", "lt", "gt"].map((how) =>
    option(`${what}-${how}`, u64, {
      not: how === "eq",
      guard: ({ args }) => {
        const given = ["eq", "lt", "gt"].some((other) => args.hasName(`${what}-${other}`));
        if (given) throw refuse(`only one of the --${what}-[eq|lt|gt] is allowed`);
      },
    }),
  ),
);

/** `-m set --match-set NAME src,dst`: whether addresses and ports are in an ipset. */
export const set: MatchExtension = defineMatch<SetMatch>({
  name: "set",
  mirrors: "net/netfilter/xt_set.c:set_match_v4()",
  fidelity: "unmodelled",
  examples: [],
  options: [MATCH_SET, NOMATCH, UPDATE, SUBUPDATE, ...NUMBERS],
  check(args) {
    if (!args.has(MATCH_SET)) throw refuse("You must specify `--match-set' with proper arguments");
  },
  parse: (args) => ({
    set: args.need(MATCH_SET),
    rest: [
      ...formatFlag("return-nomatch", args.get(NOMATCH)),
      ...[UPDATE, SUBUPDATE].flatMap((spec) =>
        args.get(spec)?.invert === true ? [`! --${spec.names[0]}`] : [],
      ),
      ...NUMBERS.flatMap((spec) => formatTest(spec.names[0] ?? "", args.get(spec), String)),
    ],
  }),
  format: (params) =>
    [...formatTest("match-set", params.set, formatSetUse), ...params.rest].join(" "),
});
