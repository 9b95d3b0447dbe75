import { safeText } from "../base/safe-text.js";
import type { TraceEvent } from "../core/trace.js";

/**
 * What `conntrack -E` would print on each node while these packets pass: a line with `#` says whose the lines after it are. Ends by
 * time are not among them, because a trace has packets alone.
 */
export function formatConntrackEvents(events: readonly TraceEvent[]): string {
  const lines: string[] = [];
  let ns: string | undefined;
  for (const event of events) {
    if (event.kind !== "conntrack" || event.action !== "told") continue;
    if (event.ns !== ns) lines.push(`# ${safeText(event.ns)}`);
    ns = event.ns;
    lines.push(safeText(event.why));
  }
  return lines.map((line) => `${line}\n`).join("");
}
