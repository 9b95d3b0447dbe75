import { counted } from "../base/counted.js";
import { safeText } from "../base/safe-text.js";
import type { DigRecording, DigRound } from "../core/dig-recording.js";
import type { DnsPluginEvent } from "../core/trace.js";
import type { DnsRecord } from "../wire/dns-message.js";
import { type DigPath, type DigQuery, digQueries } from "./dig-queries.js";

/** How much `hopwise dig` tells. */
export interface DigOptions {
  /** The walk through the server's plugins behind each query. */
  readonly trace: boolean;
  /** A line for each plugin, with its reason. */
  readonly verbose: boolean;
}

/** The answer, as the last round gives it: the outcome's name, the exit code, and the reason. */
export interface DigVerdict {
  readonly outcome: "ANSWERED" | "NO-NAME" | "UNKNOWN";
  readonly exit: 0 | 1 | 3;
  readonly because: string;
}

/** A lookup as `hopwise dig` prints it: who answered, a line for each query, the answer, and what it cost. */
export function formatDig(recording: DigRecording, options: DigOptions): string {
  const { rounds, log } = recording;
  const lines = [
    resolverLine(recording),
    ...rounds.flatMap((round, index) => [
      ...(rounds.length > 1
        ? [`;; t=${seconds(round.at)}  lookup ${index + 1} of ${rounds.length}`]
        : []),
      ...roundLines(recording, round, options),
    ]),
    ...log.map((line) => `;; ${line}`),
    ...verdictLines(recording),
  ];
  return lines.map((line) => `${safeText(line)}\n`).join("");
}

export function digVerdict({ asked, types, rounds }: DigRecording): DigVerdict {
  const last = rounds.at(-1);
  if (last?.unknown !== undefined) return { outcome: "UNKNOWN", exit: 3, because: last.unknown };
  if (last?.error === undefined) return { outcome: "ANSWERED", exit: 0, because: "" };
  return { outcome: "NO-NAME", exit: 1, because: failure(asked, types, last) };
}

function failure(
  asked: string,
  types: readonly string[],
  { error, outcome, tried, took }: DigRound,
): string {
  const names = tried === 1 ? "1 name" : `${tried} names`;
  switch (error) {
    case "NXDOMAIN":
      return `${asked} does not exist (NXDOMAIN), after ${names}`;
    case "NODATA":
      return `${asked} exists and has no ${types.join(" or ")} record (NODATA), after ${names}`;
    case "timeout":
      return `no answer came for ${seconds(took)}: timeout, after ${names}`;
    default:
      return `no server gives an answer: ${outcome}, after ${names}`;
  }
}

/** What the program gets to see; resolvers of both kinds say it in the same words. */
const sees: Readonly<Record<string, string>> = {
  timeout: "Temporary failure in name resolution (EAI_AGAIN)",
  SERVFAIL: "Temporary failure in name resolution (EAI_AGAIN)",
  NXDOMAIN: "Name or service not known (EAI_NONAME)",
  NODATA: "No address associated with hostname (EAI_NODATA)",
};

function verdictLines(recording: DigRecording): readonly string[] {
  const { outcome, because } = digVerdict(recording);
  if (outcome === "ANSWERED") return [];
  const last = recording.rounds.at(-1);
  const seen = last?.error === undefined || outcome === "UNKNOWN" ? undefined : sees[last.error];
  const after = last === undefined || last.took < 1000 ? "" : ` after ${seconds(last.took)}`;
  return [
    `${outcome}  ${because}`,
    ...(seen === undefined ? [] : [`SENDER SEES  ${seen}${after}`]),
  ];
}

function resolverLine(recording: DigRecording): string {
  const { from, nameservers, searches, options, search } = recording;
  const list = searches.length === 0 ? "no search list" : `search ${searches.join(" ")}`;
  const rules = search === "glibc" ? "" : search === "musl" ? " (musl)" : " (not searched)";
  const rest = options.length === 0 ? "" : `, ${options.join(" ")}`;
  return `;; ${from}: nameserver ${nameservers.join(" ")}, ${list}${rest}${rules}`;
}

function roundLines(
  recording: DigRecording,
  round: DigRound,
  options: DigOptions,
): readonly string[] {
  const queries = digQueries(recording, round);
  const rows = queries.map((query) => ({
    query,
    asked: `;; ${query.number} ${query.name} ${query.type}${query.overTcp ? " over TCP" : ""}`,
    middle: options.trace || query.dropped !== undefined ? middleOf(query) : "",
  }));
  const askedWidth = Math.max(...rows.map(({ asked }) => asked.length), 0) + 3;
  const middleWidth = Math.max(...rows.map(({ middle }) => middle.length), 0);
  return [
    ...pathLines(queries),
    ...rows.flatMap(({ query, asked, middle }) => [
      `${asked.padEnd(askedWidth)}${middleWidth === 0 ? "" : `${middle.padEnd(middleWidth)}   `}${outcomeText(query)}`,
      ...(options.verbose ? query.plugins.map(pluginLine) : []),
    ]),
    ...round.records.map(recordLine),
    costLine(round, queries),
  ];
}

/** Which pod answers, by which rule: once, or for each pod the queries that went there. */
function pathLines(queries: readonly DigQuery[]): readonly string[] {
  const groups = new Map<string, { path: DigPath; numbers: number[] }>();
  for (const { path, number } of queries) {
    if (path === undefined) continue;
    const key = `${path.server} ${path.ns} ${path.address}`;
    const group = groups.get(key) ?? { path, numbers: [] };
    group.numbers.push(number);
    groups.set(key, { ...group, path: group.path.endpoint === undefined ? path : group.path });
  }
  return [...groups.values()].map(({ path, numbers }) => {
    const pod = path.ns.replace(/^.*\//, "");
    const rule = path.endpoint === undefined ? "" : ` (${path.endpoint})`;
    const which = groups.size === 1 ? "" : `   ${numbers.join(" ")}`;
    return `;; ${path.server}:53 -> ${pod} ${path.address}:53${rule}${which}`;
  });
}

function middleOf(query: DigQuery): string {
  const { dropped } = query;
  if (dropped === undefined) return walkText(query.plugins);
  const { event, rule } = dropped;
  if (rule === undefined) return `${event.ns} drops it: ${event.reason} in ${event.where}`;
  const { place } = rule;
  const where = place === undefined ? "" : ` ${place.file}:${place.line}:${place.column}`;
  return `${rule.ns} ${rule.table} ${rule.chain}[${rule.number}] ${rule.outcome ?? "DROP"}${where}`;
}

/**
 * `prometheus > errors > cache: miss > kubernetes`, and what was done on the way back behind `<`. Servers that were asked in
 * turn come behind the first, each with its name.
 */
export function walkText(plugins: readonly DnsPluginEvent[]): string {
  const servers = [...new Set(plugins.map(({ ns }) => ns))];
  const walks = servers.map((ns) => walkOf(plugins.filter((event) => event.ns === ns)));
  return walks
    .map((walk, at) => (at === 0 ? walk : `${(servers[at] ?? "").replace(/^.*\//, "")}: ${walk}`))
    .join("; ");
}

function walkOf(plugins: readonly DnsPluginEvent[]): string {
  const seen = new Set<string>();
  const parts: string[] = [];
  for (const { plugin, action, depth } of plugins) {
    if (depth > 0) continue;
    const back = seen.has(plugin);
    seen.add(plugin);
    if (back && action === "not stored") continue;
    const plain = !back && (action === "passed" || action === "answered");
    const text = plain ? plugin : `${plugin}: ${action}`;
    parts.push(parts.length === 0 ? text : `${back ? "<" : ">"} ${text}`);
  }
  return parts.join(" ");
}

function pluginLine({ plugin, action, why, depth, query, asked }: DnsPluginEvent): string {
  const about = query === asked ? "" : `   (${query})`;
  return `;;      ${"  ".repeat(depth)}${plugin}: ${action}${why === "" ? "" : `, ${why}`}${about}`;
}

function outcomeText({ rcode, took }: DigQuery): string {
  return rcode === "timeout" && took !== undefined ? `timeout after ${seconds(took)}` : rcode;
}

/** A record as dig prints it, with two spaces between the columns. */
function recordLine({ name, ttl, class: klass, type, data }: DnsRecord): string {
  return `${name}  ${ttl}  ${klass}  ${type}  ${data}`;
}

/** What the lookup cost, and what it would have cost with the name written out. */
function costLine({ lastName, error, unknown }: DigRound, queries: readonly DigQuery[]): string {
  const packets = queries.reduce((sum, query) => sum + query.packets, 0);
  const cost = `;; ${counted(queries.length, "query", "queries")}, ${counted(packets, "packet")}`;
  const alone = queries.filter(({ name }) => name === lastName);
  if (unknown !== undefined || error === "timeout" || alone.length >= queries.length) return cost;
  return `${cost}; with a trailing dot (${lastName}) it would be ${alone.length}`;
}

/** `5 s`, `0.25 s`: microseconds as seconds. */
function seconds(micros: number): string {
  return `${Number((micros / 1_000_000).toFixed(3))} s`;
}

/** The same as data: `--json`. */
export function digJson(recording: DigRecording): object {
  const { outcome, exit, because } = digVerdict(recording);
  return {
    v: 1,
    kind: "Dig",
    verdict: outcome,
    exit,
    because,
    name: recording.asked,
    types: recording.types,
    from: recording.from,
    resolver: {
      search: recording.search,
      nameservers: recording.nameservers,
      searches: recording.searches,
      options: recording.options,
    },
    rounds: recording.rounds.map((round) => roundJson(recording, round)),
    log: recording.log,
    notes: recording.notes,
  };
}

function roundJson(recording: DigRecording, round: DigRound): object {
  const queries = digQueries(recording, round);
  return {
    at: round.at / 1_000_000,
    took: round.took / 1_000_000,
    error: round.error,
    unknown: round.unknown,
    answers: round.records,
    packets: queries.reduce((sum, { packets }) => sum + packets, 0),
    queries: queries.map(({ dropped, plugins, took, ...query }) => ({
      ...query,
      took: took === undefined ? undefined : took / 1_000_000,
      plugins: plugins.map(({ plugin, action, why, query: seen, depth, place }) => ({
        plugin,
        action,
        why,
        query: seen,
        depth,
        source: place,
      })),
      dropped:
        dropped === undefined
          ? undefined
          : {
              ns: dropped.event.ns,
              reason: dropped.event.reason,
              where: dropped.event.where,
              rule: dropped.rule?.text,
              source: dropped.rule?.place,
            },
    })),
  };
}
