import type { ConntrackEntry } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type ConntrackEvent, told } from "../../core/trace.js";
import { snapshot } from "./connection.js";

/** The one line that tells a trace about connections. A `why` that must be worded is asked only when someone listens. */
export function tellConntrack(
  skb: SkBuff,
  action: ConntrackEvent["action"],
  entry: ConntrackEntry | undefined,
  why: string | (() => string),
): void {
  const { trace } = skb.ns.sim;
  if (trace === undefined) return;
  trace(
    told(skb, {
      kind: "conntrack",
      action,
      entry: entry === undefined ? undefined : snapshot(entry),
      why: typeof why === "string" ? why : why(),
    }),
  );
}
