import type { NetworkNamespace } from "../../core/namespace.js";
import { eventLog } from "../conntrack/event-log.js";
import { labelFile } from "../conntrack/labels.js";
import { conntrack } from "../conntrack/table.js";
import { timeoutPolicies } from "../conntrack/timeout-policies.js";
import type { PacketUse } from "../ipset/packet.js";
import { ipsets } from "../ipset/sets.js";
import type { RuleEnvironment } from "./extension.js";
import type { OptionUse } from "./options.js";
import { refuse } from "./refusal.js";
import type { RuleSpec } from "./rule.js";

/** An ipset and what of the packet each of its dimensions takes. */
export type SetUse = PacketUse;

/** What rules of a namespace may name. */
export function environmentOf(ns: NetworkNamespace): RuleEnvironment {
  const families = { inet: "IPv4", inet6: "IPv6", unspec: "any" } as const;
  return {
    set: (name) => {
      const found = ipsets(ns).get(name);
      return found === undefined ? undefined : families[found.family];
    },
    keepsEventMasks: conntrack(ns).settings.events !== 2 || eventLog(ns).isListening,
    labels: labelFile(ns).names,
    timeoutPolicy: (name) => timeoutPolicies(ns).get(name),
  };
}

/** The sets that a rule uses, one for each use: the kernel counts them as references. */
export function setsOf({ matches, action }: RuleSpec): readonly string[] {
  const parts = action.kind === "target" ? [...matches, action.target] : matches;
  return parts
    .filter(({ extension: { name } }) => name === "set" || name === "SET")
    .flatMap(({ text }) => Array.from(text.matchAll(USES), ([, name = ""]) => name));
}

const USES = /--(?:match|add|del|map)-set (.+?) (?:src|dst)(?:,(?:src|dst))*(?= |$)/g;

/** `NAME src,dst,…`. Mirrors extensions/libxt_set.h:parse_dirs() and get_set_byname(). */
export function readSetUse(name: string, { second, context, typed }: OptionUse): SetUse {
  const family = context.environment.set?.(name);
  if (family === undefined && context.environment.missingSets !== true)
    throw refuse(`Set ${name} doesn't exist.\n`);
  const own = context.family === "ipv4" ? "IPv4" : "IPv6";
  if (family !== undefined && family !== "any" && family !== own)
    throw refuse(`The protocol family of set ${name} is ${family}, which is not applicable.\n`);
  const directions = second.split(",").map((word) => {
    if (word !== "src" && word !== "dst")
      throw refuse("You must spefify (the comma separated list of) 'src' or 'dst'.");
    return word;
  });
  if (directions.length > 6) throw refuse("Can't be more src/dst options than 6.");
  if (typed === "set") context.warn("--set option deprecated, please use --match-set");
  return { name, directions };
}

/** Whether a rule's set is not there: only rules that were read with `missingSets` have such. */
export function isMissing({ name }: SetUse, ns: NetworkNamespace): boolean {
  return ipsets(ns).get(name) === undefined;
}

export function formatSetUse({ name, directions }: SetUse): string {
  return `${name} ${directions.join(",")}`;
}
