import type { DnsMessage, DnsQuestion, DnsRecord, Edns } from "../../wire/dns-message.js";
import type { Query } from "./plugin.js";

const nothing: DnsQuestion = { name: ".", type: "A", class: "IN" };

export function questionOf(query: Query): DnsQuestion {
  return query.message.questions[0] ?? nothing;
}

/** The reply to a message before anything is filled in. Mirrors dns.Msg.SetReply(). */
export function replyTo(request: DnsMessage, fields: Partial<DnsMessage> = {}): DnsMessage {
  const query = request.opcode === 0;
  return {
    id: request.id,
    opcode: request.opcode,
    qr: true,
    aa: false,
    tc: false,
    rd: query && request.rd,
    ra: false,
    ad: false,
    cd: query && request.cd,
    rcode: "NOERROR",
    questions: request.questions.slice(0, 1),
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
    ...fields,
  };
}

export interface QueryFields {
  readonly id?: number;
  readonly edns?: Edns | undefined;
  readonly rd?: boolean;
}

export function newQuery(name: string, type: string, fields: QueryFields = {}): DnsMessage {
  return {
    id: fields.id ?? 0,
    opcode: 0,
    qr: false,
    aa: false,
    tc: false,
    rd: fields.rd ?? true,
    ra: false,
    ad: false,
    cd: false,
    rcode: "NOERROR",
    questions: [{ name, type, class: "IN" }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: fields.edns,
  };
}

/** The query with another question. */
export function withQuestion(query: Query, change: Partial<DnsQuestion>): Query {
  const question = { ...questionOf(query), ...change };
  return { ...query, message: { ...query.message, questions: [question] } };
}

export function record(
  name: string,
  type: string,
  ttl: number,
  data: string,
  klass = "IN",
): DnsRecord {
  return { name, type, class: klass, ttl, data };
}

/** The size a client can take: what it advertised, at least 512; 65535 over TCP. */
export function sizeLimit(query: Query): number {
  if (query.client.proto === "tcp") return 65_535;
  return Math.max(512, query.message.edns?.udpSize ?? 0);
}

export function sections(message: DnsMessage): readonly DnsRecord[] {
  return [...message.answers, ...message.authorities, ...message.additionals];
}

/** Applies a change to every record of the three sections. */
export function mapRecords(
  message: DnsMessage,
  change: (record: DnsRecord) => DnsRecord,
): DnsMessage {
  return {
    ...message,
    answers: message.answers.map(change),
    authorities: message.authorities.map(change),
    additionals: message.additionals.map(change),
  };
}

/** `owner TTL class type data`, one space between. */
export function formatRecord(item: DnsRecord): string {
  return `${item.name} ${item.ttl} ${item.class} ${item.type} ${item.data}`;
}
