import type { ConntrackEntry } from "../../core/conntrack.js";
import type { SkBuff } from "../../core/skbuff.js";
import { type ConntrackEvent, told } from "../../core/trace.js";
import { type Connection, snapshot } from "./connection.js";
import { formatTableEvent } from "./text.js";
import { toldEvent } from "./told-event.js";

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

/** What `conntrack -E` says at this moment of IPCT_* bits that happened to a connection; nothing for none. */
export function tellEvent(skb: SkBuff, entry: Connection, events: number): void {
  const { trace, queue } = skb.ns.sim;
  if (trace === undefined || events === 0) return;
  const event = toldEvent({ entry, events, at: queue.now });
  if (event === undefined) return;
  const why = formatTableEvent(event);
  trace(told(skb, { kind: "conntrack", action: "told", entry: snapshot(entry), why }));
}
