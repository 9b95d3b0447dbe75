import type { NetDevice } from "../../../core/device.js";
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

/** `-m devgroup`: the group of the device the packet came in by, or goes out by. */
export const devgroup: MatchExtension = defineMatch<Devgroup>({
  name: "devgroup",
  mirrors: "net/netfilter/xt_devgroup.c:devgroup_mt()",
  fidelity: "exact",
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
  isPure: true,
  matches: ({ source, destination }, _, state) =>
    fits(source, state.in) && fits(destination, state.out),
  why: ({ source }, _, state) =>
    fits(source, state.in)
      ? `packet goes out by a device of group ${state.out?.group ?? 0}`
      : `packet came in by a device of group ${state.in?.group ?? 0}`,
});

/** Mirrors net/netfilter/xt_devgroup.c:devgroup_mt(). */
function fits(test: Negatable<NamedMask> | undefined, dev: NetDevice | undefined): boolean {
  if (test === undefined) return true;
  const { value, mask } = test.value;
  return ((((dev?.group ?? 0) ^ value) & mask) === 0) !== test.invert;
}
