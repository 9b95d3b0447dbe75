import type { Recording } from "../core/recording.js";
import type { DnsPluginEvent } from "../core/trace.js";

/** One question that the resolver asked, what came back, and what each plugin of the server did with it. */
export interface LookupQuery {
  /** Counts from 1 over the whole lookup. */
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly server: string;
  /** NOERROR, NXDOMAIN, timeout, …; `no answer` when the run ended before one came. */
  readonly rcode: string;
  readonly answers: readonly string[];
  readonly plugins: readonly DnsPluginEvent[];
}

/** The questions of a lookup in the order they were asked, each with its own walk through the server's plugins. */
export function queriesOf({ lookupEvents }: Recording): readonly LookupQuery[] {
  const plugins = lookupEvents.filter((event) => event.kind === "dns-plugin");
  const asked = lookupEvents.filter((event) => event.kind === "resolver" && event.action === "ask");
  return asked.flatMap((ask, index) => {
    if (ask.kind !== "resolver") return [];
    const end = lookupEvents.find(
      (event) =>
        event.kind === "resolver" &&
        (event.action === "answer" || event.action === "timeout") &&
        event.name === ask.name &&
        event.type === ask.type &&
        event.time >= ask.time,
    );
    const told = end?.kind === "resolver" ? end : undefined;
    return [
      {
        number: index + 1,
        name: ask.name.replace(/(?<=.)\.$/, ""),
        type: ask.type,
        server: ask.server,
        rcode:
          told === undefined
            ? "no answer"
            : told.action === "timeout"
              ? "timeout"
              : (told.rcode ?? "no answer"),
        answers: told?.answers ?? [],
        plugins: plugins.filter(({ asked }) => isAbout(asked, ask.name, ask.type)),
      },
    ];
  });
}

/** A plugin event names its query as `NAME CLASS TYPE` or `NAME TYPE`. */
function isAbout(query: string, name: string, type: string): boolean {
  const words = query.split(" ");
  return words[0] === name && words.at(-1) === type;
}
