import { type MatchExtension, defineMatch } from "../extension.js";
import { formatNamed, type NamedMask, readNamed } from "../named-numbers.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { formatTest, type Negatable } from "../values.js";

interface Devgroup {
  readonly source: Negatable<NamedMask> | undefined;
  readonly destination: Negatable<NamedMask> | undefined;
}

/** /etc/iproute2/group. */
const GROUPS: ReadonlyMap<string, number> = new Map([["default", 0]]);

const SRC = option("src-group", readNamed(GROUPS), { not: true });
const DST = option("dst-group", readNamed(GROUPS), { not: true });

/** `-m devgroup`: the group of the device; every device here is in group 0. */
export const devgroup: MatchExtension = defineMatch<Devgroup>({
  name: "devgroup",
  mirrors: "net/netfilter/xt_devgroup.c:devgroup_mt()",
  fidelity: "simplified",
  examples: ["--src-group 0x5", "! --src-group 0x10/0xf0", "--src-group default"],
  options: [SRC, DST],
  check(args) {
    if (args.all.length === 0)
      throw refuse("devgroup match: You must specify either '--src-group' or '--dst-group'");
  },
  parse: (args) => ({ source: args.get(SRC), destination: args.get(DST) }),
  format: ({ source, destination }) =>
    [
      ...formatTest("src-group", source, (value) => formatNamed(value, GROUPS)),
      ...formatTest("dst-group", destination, (value) => formatNamed(value, GROUPS)),
    ].join(" "),
  refuses({ source, destination }, { hooks }) {
    if (source !== undefined && (hooks.has("OUTPUT") || hooks.has("POSTROUTING")))
      return "Invalid argument";
    return destination !== undefined && (hooks.has("PREROUTING") || hooks.has("INPUT"))
      ? "Invalid argument"
      : undefined;
  },
  matches: ({ source, destination }) =>
    [source, destination].every(
      (test) => test === undefined || (test.value.value === 0) !== test.invert,
    ),
  why: () => "devices are in group 0",
});
