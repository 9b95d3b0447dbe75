import type { DigRecording, DigRound } from "../core/dig-recording.js";
import type {
  BornEvent,
  DnsPluginEvent,
  DroppedEvent,
  ResolverEvent,
  RuleEvent,
  TraceEvent,
} from "../core/trace.js";
import { decodeDns } from "../wire/dns.js";
import { isIcmp } from "../wire/frame.js";
import { formatIpv4 } from "../wire/ip.js";

/** Which server took a query, and the rule that chose it. */
export interface DigPath {
  readonly server: string;
  /** The namespace that the packet was delivered in: a pod. */
  readonly ns: string;
  readonly address: string;
  /** `KUBE-SEP-…`; undefined when no Service lies between. */
  readonly endpoint: string | undefined;
}

/** One query of a lookup and what became of it. */
export interface DigQuery {
  /** Counts from 1 within its lookup. */
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly server: string;
  readonly overTcp: boolean;
  /** NOERROR, NXDOMAIN, …, `timeout`, `truncated`, `sent again`, ECONNREFUSED; `no answer` when the run ended before. */
  readonly rcode: string;
  /** From the query to its answer, or to the end of the wait; undefined without either. */
  readonly took: number | undefined;
  readonly plugins: readonly DnsPluginEvent[];
  readonly path: DigPath | undefined;
  /** IP packets that it cost: of the client, of the server and of resolvers that were asked in turn. */
  readonly packets: number;
  readonly dropped:
    | { readonly event: DroppedEvent; readonly rule: RuleEvent | undefined }
    | undefined;
}

interface Draft {
  readonly ask: ResolverEvent;
  readonly index: number;
  end: ResolverEvent | undefined;
  readonly plugins: DnsPluginEvent[];
  readonly births: BornEvent[];
}

/** The queries of one lookup in the order they were sent. Packets are told apart by the question that they carry. */
export function digQueries(recording: DigRecording, round: DigRound): readonly DigQuery[] {
  const drafts: Draft[] = [];
  const owners = new Map<number, Draft>();
  round.events.forEach((event, index) => {
    if (event.kind === "resolver" && event.ns === recording.ns) hear(event, index, drafts);
    else if (event.kind === "dns-plugin") latest(drafts, event.asked)?.plugins.push(event);
    else if (event.kind === "born") {
      const owner = ownerOf(event, drafts, owners);
      if (owner === undefined) return;
      owners.set(event.packet, owner);
      if (!isCopy(event)) owner.births.push(event);
    }
  });
  const queries = drafts.map((draft, at) =>
    queryOf(draft, at + 1, recording, round.events, owners),
  );
  return queries.map((query, at) => {
    const again = queries.slice(at + 1).find((later) => isSame(query, later));
    if (query.rcode !== noAnswer || again === undefined) return query;
    return { ...query, rcode: again.overTcp && !query.overTcp ? "truncated" : "sent again" };
  });
}

function isSame(a: DigQuery, b: DigQuery): boolean {
  return a.name === b.name && a.type === b.type && a.server === b.server;
}

const noAnswer = "no answer";

function hear(event: ResolverEvent, index: number, drafts: Draft[]): void {
  if (event.action === "ask") {
    drafts.push({ ask: event, index, end: undefined, plugins: [], births: [] });
  } else if (event.action === "answer" || event.action === "timeout") {
    const open = drafts.findLast(
      ({ ask, end }) =>
        end === undefined &&
        ask.name === event.name &&
        ask.type === event.type &&
        ask.server === event.server,
    );
    if (open !== undefined) open.end = event;
  }
}

function latest(drafts: readonly Draft[], asked: string): Draft | undefined {
  const wanted = asked.toLowerCase();
  return drafts.findLast(({ ask }) => `${ask.name} ${ask.type}`.toLowerCase() === wanted);
}

/** The query that a packet is there for: by its question, by the packet that caused it, else the last one. */
function ownerOf(
  event: BornEvent,
  drafts: readonly Draft[],
  owners: ReadonlyMap<number, Draft>,
): Draft | undefined {
  const { network, transport, payload } = event.frame;
  if (network?.kind !== "ipv4" || transport === undefined) return undefined;
  const cause = event.cause === undefined ? undefined : owners.get(event.cause);
  if (cause !== undefined || isIcmp(transport)) return cause;
  if (transport.sourcePort !== 53 && transport.destinationPort !== 53) return undefined;
  if (transport.kind === "tcp") return drafts.at(-1);
  const message = decodeDns(payload);
  const [question] = message.ok ? message.value.questions : [];
  return question === undefined
    ? undefined
    : (latest(drafts, `${question.name} ${question.type}`) ?? drafts.at(-1));
}

/** Copies that a bridge makes carry the packet on: they are not packets of their own. */
function isCopy({ by }: BornEvent): boolean {
  return /flood|clone|copy/.test(by);
}

function queryOf(
  draft: Draft,
  number: number,
  recording: DigRecording,
  events: readonly TraceEvent[],
  owners: ReadonlyMap<number, Draft>,
): DigQuery {
  const { ask, end, plugins, births } = draft;
  const packets = new Set([...owners].filter(([, owner]) => owner === draft).map(([id]) => id));
  const first = births.find(({ ns }) => ns === recording.ns);
  return {
    number,
    name: ask.name,
    type: ask.type,
    server: ask.server,
    overTcp: ask.port === undefined,
    rcode: outcomeOf(end),
    took: end === undefined ? undefined : end.time - ask.time,
    plugins,
    path: first === undefined ? undefined : pathOf(first.packet, ask.server, events),
    packets: births.length,
    dropped: end?.action === "answer" ? undefined : dropOf(packets, events),
  };
}

function outcomeOf(end: ResolverEvent | undefined): string {
  if (end === undefined) return noAnswer;
  return end.rcode ?? (end.action === "timeout" ? "timeout" : noAnswer);
}

function pathOf(
  packet: number,
  server: string,
  events: readonly TraceEvent[],
): DigPath | undefined {
  let endpoint: string | undefined;
  for (const event of events) {
    if (!("packet" in event) || event.packet !== packet) continue;
    if (event.kind === "rule" && event.outcome?.startsWith("KUBE-SEP-") === true)
      endpoint = event.outcome;
    if (event.kind !== "delivered" || event.frame.network?.kind !== "ipv4") continue;
    return { server, ns: event.ns, address: formatIpv4(event.frame.network.destination), endpoint };
  }
  return undefined;
}

/** The packet of a query that did not arrive, and the rule that ended it. */
function dropOf(packets: ReadonlySet<number>, events: readonly TraceEvent[]): DigQuery["dropped"] {
  const event = events.find(
    (one): one is DroppedEvent => one.kind === "dropped" && packets.has(one.packet),
  );
  if (event === undefined) return undefined;
  const rule = events.find(
    (one): one is RuleEvent =>
      one.kind === "rule" &&
      one.packet === event.packet &&
      one.matched &&
      (one.effect === "drop" || one.outcome === "REJECT"),
  );
  return { event, rule };
}
