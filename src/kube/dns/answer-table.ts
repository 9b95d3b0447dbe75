import { decodeDns, encodeDns } from "../../wire/dns.js";
import type { DnsMessage, DnsRecord } from "../../wire/dns-message.js";
import { replyTo } from "./messages.js";
import { isInZone } from "./names.js";
import type { Client } from "./plugin.js";
import type { Upstream, UpstreamReply, UpstreamRequest } from "./upstream.js";

/** One answer of a resolver: to which queries, and what. A missing key matches all. */
export interface AnswerRule {
  /** A name, or `*.example.org.` for everything below. */
  readonly name?: string | undefined;
  readonly type?: string | undefined;
  readonly proto?: "udp" | "tcp" | undefined;
  /** Only the n-th query that matches, from 1. */
  readonly nth?: number | undefined;
  readonly reply: AnswerReply;
}

export interface AnswerReply {
  readonly drop?: boolean | undefined;
  /** What differs from an empty NOERROR reply. Owner names `$NAME` are the name asked for. */
  readonly fields: Partial<DnsMessage>;
}

export interface AnswerTableOptions {
  /** `203.0.113.53:53` */
  readonly address: string;
  readonly rules: readonly AnswerRule[];
  /** What is not in the rules; undefined is NXDOMAIN with nothing in it. */
  readonly otherwise?: AnswerReply | undefined;
}

/** A resolver of the world whose answers are written down. */
export class AnswerTable {
  readonly address: string;
  readonly #options: AnswerTableOptions;
  readonly #seen: number[];

  constructor(options: AnswerTableOptions) {
    this.address = options.address;
    this.#options = options;
    this.#seen = options.rules.map(() => 0);
  }

  /** The reply to a query; undefined when the table says that it is dropped. */
  ask(query: DnsMessage, proto: "udp" | "tcp"): DnsMessage | undefined {
    const rule = this.#rule(query, proto);
    const reply = rule?.reply ?? this.#options.otherwise ?? { fields: { rcode: "NXDOMAIN" } };
    if (reply.drop === true) return undefined;
    const name = query.questions[0]?.name ?? ".";
    const named = (records: readonly DnsRecord[] | undefined): readonly DnsRecord[] =>
      (records ?? []).map((record) => (record.name === "$NAME" ? { ...record, name } : record));
    const { answers, authorities, additionals } = reply.fields;
    return {
      ...replyTo(query, reply.fields),
      answers: named(answers),
      authorities: named(authorities),
      additionals: named(additionals),
    };
  }

  /** Answers bytes from the network, as `serveDns` wants it. */
  receive(
    bytes: Uint8Array,
    client: Client,
    respond: (replies: readonly Uint8Array[]) => void,
  ): void {
    const query = decodeDns(bytes);
    const reply = query.ok && !query.value.qr ? this.ask(query.value, client.proto) : undefined;
    respond(reply === undefined ? [] : [encodeDns(reply)]);
  }

  #rule(query: DnsMessage, proto: "udp" | "tcp"): AnswerRule | undefined {
    let found: AnswerRule | undefined;
    for (const [index, rule] of this.#options.rules.entries()) {
      if (!matches(rule, query, proto)) continue;
      const count = (this.#seen[index] ?? 0) + 1;
      this.#seen[index] = count;
      if (rule.nth === undefined || rule.nth === count) found ??= rule;
    }
    return found;
  }
}

function matches(rule: AnswerRule, query: DnsMessage, proto: "udp" | "tcp"): boolean {
  const [question] = query.questions;
  const name = question?.name.toLowerCase() ?? ".";
  if (rule.type !== undefined && rule.type !== question?.type) return false;
  if (rule.proto !== undefined && rule.proto !== proto) return false;
  if (rule.name === undefined) return true;
  const wanted = rule.name.toLowerCase();
  if (!wanted.startsWith("*.")) return wanted === name;
  return isInZone(name, wanted.slice(2)) && name !== wanted.slice(2);
}

/** Reaches the given tables without a network; a resolver that is not among them is unknown. */
export function tableUpstream(
  tables: readonly AnswerTable[],
  after: (request: UpstreamRequest, action: () => void) => void,
): Upstream {
  return {
    exchange(request, then: (reply: UpstreamReply) => void) {
      const table = tables.find((candidate) => candidate.address === request.server);
      if (table === undefined) {
        return then({
          kind: "unknown",
          reason: `the world does not say what the resolver ${request.server} answers`,
        });
      }
      const message = table.ask(request.message, request.proto);
      if (message !== undefined) return then({ kind: "reply", message });
      const text = `read ${request.proto} 0.0.0.0:0->${request.server}: i/o timeout`;
      after(request, () => then({ kind: "error", text }));
    },
  };
}
