import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { formatTest, type Negatable, string, u32 } from "../values.js";

interface Cgroup {
  readonly classid: Negatable<number> | undefined;
  readonly path: Negatable<string> | undefined;
}

const CLASSID = option("cgroup", u32, { not: true });
const PATH = option("path", string(1, 511), { not: true });

/** `-m cgroup`: the control group of the sending socket. */
export const cgroup: MatchExtension = defineMatch<Cgroup>({
  name: "cgroup",
  mirrors: "net/netfilter/xt_cgroup.c:cgroup_mt_v2()",
  fidelity: "unmodelled",
  examples: ["--cgroup 1048577", "! --cgroup 5", '--path "/"'],
  options: [PATH, CLASSID],
  only: { hooks: ["INPUT", "OUTPUT", "POSTROUTING"] },
  parse: (args) => ({ classid: args.get(CLASSID), path: args.get(PATH) }),
  format: ({ classid, path }) =>
    [
      ...formatTest("path", path, (text) => `"${text}"`),
      ...formatTest("cgroup", classid, String),
    ].join(" "),
  // The only group that exists everywhere is the root.
  refuses: ({ classid, path }) =>
    (classid === undefined) === (path === undefined) || (path !== undefined && path.value !== "/")
      ? "Invalid argument"
      : undefined,
});
