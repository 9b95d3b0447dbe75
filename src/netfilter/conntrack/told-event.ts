import { IPCT_DESTROY, IPCT_NEW, IPCT_RELATED } from "../../core/conntrack.js";
import type { TableEvent } from "./table.js";

/**
 * The event as listeners get it, named by what happened. Undefined when nothing of it is among what `-j CT --ctevents` asks for; one
 * of several is enough for all of them. Mirrors __nf_conntrack_eventmask_report() and ctnetlink_conntrack_event().
 */
export function toldEvent({ entry, at, events }: Omit<TableEvent, "type">): TableEvent | undefined {
  if ((events & (entry.ext?.eventMasks?.connection ?? -1)) === 0) return undefined;
  const isNew = (events & (IPCT_NEW | IPCT_RELATED)) !== 0;
  const type = (events & IPCT_DESTROY) !== 0 ? "DESTROY" : isNew ? "NEW" : "UPDATE";
  return { type, at, events, entry };
}
