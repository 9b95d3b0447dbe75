import { addPacket, deletePacket, testPacket } from "../../ipset/packet.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";
import { formatSetUse, isMissing, readSetUse, type SetUse } from "../set-use.js";
import { u32 } from "../values.js";

interface SetChange {
  readonly add: SetUse | undefined;
  readonly exist: boolean;
  /** Seconds; undefined for the set's own. */
  readonly timeout: number | undefined;
  readonly del: SetUse | undefined;
  readonly map: SetUse | undefined;
  /** What of the found element goes to the packet. */
  readonly maps: readonly (typeof MAP_NAMES)[number][];
}

const MAP_NAMES = ["map-mark", "map-prio", "map-queue"] as const;

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
const MAPS = MAP_NAMES.map((name) => flag(name));

/** `-j SET`: adds what the packet carries to an ipset, takes it out, or copies from the set to the packet. */
export const set: TargetExtension = defineTarget<SetChange>({
  name: "SET",
  mirrors: "net/netfilter/xt_set.c:set_target_v3()",
  fidelity: "exact",
  // They need a set to stand: test/netfilter/ipset/match.test.ts prints them back.
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
  parse: (args) => ({
    add: args.value(ADD),
    exist: args.has(EXIST),
    timeout: args.value(TIMEOUT),
    del: args.value(DEL),
    map: args.value(MAP),
    maps: MAP_NAMES.filter((name) => args.hasName(name)),
  }),
  format({ add, exist, timeout, del, map, maps }) {
    const words: string[] = [];
    if (add !== undefined) words.push(`--add-set ${formatSetUse(add)}`);
    if (exist) words.push("--exist");
    if (timeout !== undefined) words.push(`--timeout ${timeout}`);
    if (del !== undefined) words.push(`--del-set ${formatSetUse(del)}`);
    if (map !== undefined)
      words.push(`--map-set ${formatSetUse(map)}`, ...maps.map((name) => `--${name}`));
    return words.join(" ");
  },
  // Mirrors set_target_v3_checkentry().
  refuses({ map, maps }, { hooks, table }) {
    if (map === undefined) return undefined;
    const queues = maps.includes("map-prio") || maps.includes("map-queue");
    const early = hooks.has("PREROUTING") || hooks.has("INPUT");
    return table !== "mangle" || (queues && early) ? "Invalid argument" : undefined;
  },
  apply({ add, exist, timeout, del, map, maps }, skb, state) {
    if ([add, del, map].some((use) => use !== undefined && isMissing(use, state.ns)))
      return { kind: "unknown" };
    if (add !== undefined) addPacket(add, { exist, timeout }, skb, state);
    if (del !== undefined) deletePacket(del, skb, state);
    if (map === undefined) return CONTINUE;
    let found = { mark: 0, mask: 0, priority: 0 };
    if (!testPacket(map, { onFound: (info) => (found = info) }, skb, state)) return CONTINUE;
    // No device here has more than one transmit queue, so the queue never changes.
    if (maps.includes("map-mark")) skb.mark = ((skb.mark & ~found.mask) ^ found.mark) >>> 0;
    if (maps.includes("map-prio")) skb.priority = found.priority;
    return CONTINUE;
  },
});
