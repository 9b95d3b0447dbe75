import type { OptionUse } from "./options.js";
import { refuse } from "./refusal.js";

/** An ipset and what of the packet each of its dimensions takes. */
export interface SetUse {
  readonly name: string;
  readonly directions: readonly ("src" | "dst")[];
}

/** `NAME src,dst,…`. Mirrors extensions/libxt_set.h:parse_dirs() and get_set_byname(). */
export function readSetUse(name: string, { second, context, typed }: OptionUse): SetUse {
  const family = context.environment.set?.(name);
  if (family === undefined) throw refuse(`Set ${name} doesn't exist.\n`);
  const own = context.family === "ipv4" ? "IPv4" : "IPv6";
  if (family !== "any" && family !== own)
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

export function formatSetUse({ name, directions }: SetUse): string {
  return `${name} ${directions.join(",")}`;
}
