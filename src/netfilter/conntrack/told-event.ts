import { IPCT_DESTROY, IPCT_NEW, IPCT_RELATED } from "../../core/conntrack.js";
import type { TableEvent } from "./table.js";

/**
 * The event as listeners get it: without what `-j CT --ctevents` leaves out, and named by what is left. Undefined when nothing is.
 * Mirrors __nf_conntrack_eventmask_report() and ctnetlink_conntrack_event().
 */
export function toldEvent({
  entry,
  at,
  events: all,
}: Omit<TableEvent, "type">): TableEvent | undefined {
  const events = all & (entry.ext?.eventMasks?.connection ?? -1);
  if (events === 0) return undefined;
  const isNew = (events & (IPCT_NEW | IPCT_RELATED)) !== 0;
  const type = (events & IPCT_DESTROY) !== 0 ? "DESTROY" : isNew ? "NEW" : "UPDATE";
  return { type, at, events, entry };
}
