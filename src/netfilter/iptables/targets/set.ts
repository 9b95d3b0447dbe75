import { type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";
import { formatSetUse, readSetUse } from "../set-use.js";
import { u32 } from "../values.js";

interface SetChange {
  readonly words: readonly string[];
  readonly queues: boolean;
}

const operation = (name: string): ReturnType<typeof option<ReturnType<typeof readSetUse>>> =>
  option(name, readSetUse, {
    second: `--${name} requires two args.`,
    onlyOnce: `--${name} can be specified only once`,
  });
const ADD = operation("add-set");
const DEL = operation("del-set");
const MAP = operation("map-set");
const EXIST = flag("exist");
const TIMEOUT = option("timeout", u32);
const MAPS = ["map-mark", "map-prio", "map-queue"].map((name) => flag(name));

/** `-j SET`: adds what the packet carries to an ipset, takes it out, or copies from the set to the packet. */
export const set: TargetExtension = defineTarget<SetChange>({
  name: "SET",
  mirrors: "net/netfilter/xt_set.c:set_target_v3()",
  fidelity: "unmodelled",
  examples: [],
  options: [ADD, DEL, MAP, EXIST, TIMEOUT, ...MAPS],
  check(args) {
    if (![ADD, DEL, MAP].some((spec) => args.has(spec)))
      throw refuse("You must specify either `--add-set' or `--del-set' or `--map-set'");
    if (args.has(EXIST) && !args.has(ADD))
      throw refuse("Flag `--exist' can be used with `--add-set' only");
    if (args.has(MAP) && !MAPS.some((spec) => args.has(spec)))
      throw refuse("You must specify flags `--map-mark' or '--map-prio` or `--map-queue'");
  },
  parse(args) {
    const words: string[] = [];
    const add = args.value(ADD);
    if (add !== undefined) words.push(`--add-set ${formatSetUse(add)}`);
    if (args.has(EXIST)) words.push("--exist");
    if (args.has(TIMEOUT)) words.push(`--timeout ${args.value(TIMEOUT)}`);
    const del = args.value(DEL);
    if (del !== undefined) words.push(`--del-set ${formatSetUse(del)}`);
    const map = args.value(MAP);
    if (map !== undefined)
      words.push(
        `--map-set ${formatSetUse(map)}`,
        ...MAPS.filter((spec) => args.has(spec)).map((spec) => `--${spec.names[0]}`),
      );
    return { words, queues: args.hasName("map-prio") || args.hasName("map-queue") };
  },
  format: ({ words }) => words.join(" "),
  refuses: ({ queues }, { hooks }) =>
    queues && (hooks.has("PREROUTING") || hooks.has("INPUT")) ? "Invalid argument" : undefined,
});
