import type { CounterTest } from "../../ipset/extensions.js";
import { type PacketTest, resultOf, testPacket } from "../../ipset/packet.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option, type OptionArgs, type OptionSpec } from "../options.js";
import { refuse } from "../refusal.js";
import { formatSetUse, isMissing, readSetUse, type SetUse } from "../set-use.js";
import { formatFlag, formatTest, type Negatable, u64 } from "../values.js";

interface SetMatch {
  readonly set: Negatable<SetUse>;
  readonly test: PacketTest;
  /** The options behind the set, as save prints them. */
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
  fidelity: "exact",
  // They need a set to stand: test/netfilter/ipset/match.test.ts prints them back.
  examples: [],
  options: [MATCH_SET, NOMATCH, UPDATE, SUBUPDATE, ...NUMBERS],
  check(args) {
    if (!args.has(MATCH_SET)) throw refuse("You must specify `--match-set' with proper arguments");
  },
  parse: (args) => ({
    set: args.need(MATCH_SET),
    test: {
      returnNomatch: args.has(NOMATCH),
      skipCounters: args.get(UPDATE)?.invert === true,
      skipSubcounters: args.get(SUBUPDATE)?.invert === true,
      packets: counterTest("packets", args),
      bytes: counterTest("bytes", args),
    },
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
  matches: ({ set: { value, invert }, test }, skb, state) =>
    isMissing(value, state.ns) ? "unknown" : testPacket(value, test, skb, state) !== invert,
  why({ set: { value, invert }, test }, skb, state) {
    const { name, directions } = value;
    if (isMissing(value, state.ns)) return `ipset ${name} is not known`;
    if (invert) return `packet's ${directions.join(",")} is in set ${name}`;
    const found = resultOf(value, { ...test, skipCounters: true }, skb, state);
    return found === "nomatch"
      ? `packet's ${directions.join(",")} is a nomatch of set ${name}`
      : `packet's ${directions.join(",")} is not in set ${name}`;
  },
});

function counterTest(what: "packets" | "bytes", args: OptionArgs): CounterTest | undefined {
  for (const spec of NUMBERS) {
    const given = args.get(spec);
    const [own, how] = (spec.names[0] ?? "").split("-");
    if (given === undefined || own !== what) continue;
    if (how === "eq") return { op: given.invert ? "ne" : "eq", value: given.value };
    return { op: how === "lt" ? "lt" : "gt", value: given.value };
  }
  return undefined;
}
