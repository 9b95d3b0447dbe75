import type { NetworkNamespace } from "../core/namespace.js";
import { eventLog } from "../netfilter/conntrack/event-log.js";
import { formatExpectationEvent } from "../netfilter/conntrack/expectation-text.js";
import { formatSavedEntry } from "../netfilter/conntrack/save-text.js";
import type { TableEvent } from "../netfilter/conntrack/table.js";
import { type EntryFormat, formatTableEvent } from "../netfilter/conntrack/text.js";
import type { Micros } from "../sim/time.js";
import type { ConntrackRequest } from "./conntrack-options.js";
import { type EventType, readEvents } from "./conntrack-values.js";

/** What was told, and how many lines. */
interface Told {
  readonly stdout: string;
  readonly count: number;
}

const ALL: ReadonlySet<EventType> = new Set(["NEW", "UPDATE", "DESTROY"]);

/**
 * `conntrack -E`. The real one tells until it is stopped; this one tells what happened since it was run last, and the first run
 * begins to listen.
 */
export function tellEvents(
  { given, filter, output }: ConntrackRequest,
  ns: NetworkNamespace,
  format: EntryFormat,
): Told {
  const log = eventLog(ns);
  log.listen();
  const mask = given.get("--event-mask");
  const types = mask === undefined ? ALL : readEvents(mask);
  const lines = log
    .take()
    .filter(({ type, entry }) => types.has(type) && filter(entry))
    .map((event) => lineOf(event, output, format));
  return { stdout: lines.join(""), count: lines.length };
}

const SAVED = { NEW: "-A", UPDATE: "-U", DESTROY: "-D" } as const;

function lineOf(
  event: TableEvent,
  output: ConntrackRequest["output"],
  format: EntryFormat,
): string {
  if (output.has("save")) return `${formatSavedEntry(SAVED[event.type], event.entry, event.at)}\n`;
  const stamp = output.has("timestamp") ? timestamp(event.at) : "";
  return `${stamp}${formatTableEvent(event, format)}\n`;
}

/** `conntrack -E expect`. */
export function tellExpectationEvents({ output }: ConntrackRequest, ns: NetworkNamespace): Told {
  const log = eventLog(ns);
  log.listen();
  const lines = log
    .takeExpectations()
    .map(
      (event) =>
        `${output.has("timestamp") ? timestamp(event.at) : ""}${formatExpectationEvent(event)}\n`,
    );
  return { stdout: lines.join(""), count: lines.length };
}

/** `[1795656235.20352 ]` and a tab: microseconds stand to the left. */
export function timestamp(at: Micros): string {
  const whole = String(Math.floor(at / 1_000_000)).padEnd(8);
  return `[${whole}.${String(at % 1_000_000).padEnd(6)}]\t`;
}
