import type { EventQueue } from "../../sim/event-queue.js";
import type { Micros } from "../../sim/time.js";
import { decodeDns, encodeDns } from "../../wire/dns.js";
import type { DnsMessage, DnsRecord } from "../../wire/dns-message.js";
import { record, replyTo } from "./messages.js";
import { isInZone } from "./names.js";
import type { Client, Query } from "./plugin.js";
import { scrub } from "./scrub.js";
import type { DnsResponder } from "./server.js";
import { Zone } from "./zone.js";
import { lookupZone, type ZoneAnswer } from "./zone-lookup.js";

/** What a resolver of the world does to some queries instead of answering them from its records. */
export interface ResolverFault {
  /** A name, or `*.example.org.` for everything below; undefined for every name. */
  readonly name: string | undefined;
  readonly type: string | undefined;
  /** From this instant of the run on. */
  readonly after: Micros;
  /** A response code, or `drop` for no reply at all. */
  readonly answer: string;
}

/** What the world says about one resolver outside of it. */
export interface ResolverData {
  /** Whole zones: what is not in them does not exist. */
  readonly zones: readonly Zone[];
  /** Names of which all records are known, and no more. */
  readonly records: readonly DnsRecord[];
  readonly faults: readonly ResolverFault[];
  /** For names that neither says anything about: a response code, `drop`, or undefined when nobody knows. */
  readonly otherwise: string | undefined;
}

/** What comes of a query: a reply, silence, or no certain answer. */
export type WorldAnswer =
  | { readonly kind: "reply"; readonly message: DnsMessage }
  | { readonly kind: "drop" }
  | { readonly kind: "unknown"; readonly reason: string };

/** A chain of CNAMEs that is longer ends in SERVFAIL. */
const maxAliases = 16;

/** A recursive resolver outside the cluster, whose answers are part of the world. */
export class WorldResolver implements DnsResponder {
  readonly address: string;
  readonly #data: ResolverData;
  readonly #queue: EventQueue;
  /** The loose records as the root zone, without a claim about anything else. */
  readonly #loose: Zone;

  constructor(address: string, data: ResolverData, queue: EventQueue) {
    this.address = address;
    this.#data = data;
    this.#queue = queue;
    this.#loose = new Zone(".", record(".", "SOA", 0, ". . 0 0 0 0 0"), data.records);
  }

  receive(
    bytes: Uint8Array,
    client: Client,
    respond: (replies: readonly Uint8Array[], unknown?: string) => void,
  ): void {
    const message = decodeDns(bytes);
    if (!message.ok || message.value.qr) return respond([]);
    const answer = this.ask(message.value);
    if (answer.kind !== "reply")
      return respond([], answer.kind === "unknown" ? answer.reason : undefined);
    const query: Query = {
      message: message.value,
      asked: "",
      client,
      server: { address: this.address, port: 53 },
      depth: 0,
      metadata: undefined,
    };
    const fitted = scrub(query, answer.message, new Set());
    respond([encodeDns(fitted.message, { compress: true })]);
  }

  ask(query: DnsMessage): WorldAnswer {
    const { name, type } = query.questions[0] ?? { name: ".", type: "A" };
    const fault = this.#data.faults.find((one) => this.#strikes(one, name, type));
    if (fault !== undefined) return coded(query, fault.answer);
    const answers: DnsRecord[] = [];
    let current = name.toLowerCase();
    for (let aliases = 0; aliases <= maxAliases; aliases++) {
      const found = this.#find(current, type);
      if (found === undefined) return this.#otherwise(query, current, answers);
      answers.push(...found.answers);
      if (found.result === "delegation") return this.#unknown(current);
      if (found.chase === undefined) return finished(query, found, answers);
      current = found.chase.toLowerCase();
    }
    return coded(query, "SERVFAIL");
  }

  #strikes({ name, type, after }: ResolverFault, asked: string, askedType: string): boolean {
    if (this.#queue.now < after || (type !== undefined && type !== askedType)) return false;
    if (name === undefined) return true;
    const wanted = name.toLowerCase();
    const lower = asked.toLowerCase();
    if (!wanted.startsWith("*.")) return wanted === lower;
    return isInZone(lower, wanted.slice(2)) && lower !== wanted.slice(2);
  }

  #find(name: string, type: string): ZoneAnswer | undefined {
    const zone = this.#data.zones
      .filter(({ origin }) => isInZone(name, origin))
      .toSorted((a, b) => b.origin.length - a.origin.length)[0];
    if (zone !== undefined) return lookupZone(zone, name, type, false);
    const loose = lookupZone(this.#loose, name, type, false);
    if (loose.answers.length === 0 && this.#loose.node(name) === undefined) return undefined;
    return { ...loose, authorities: [] };
  }

  #otherwise(query: DnsMessage, name: string, answers: readonly DnsRecord[]): WorldAnswer {
    // No top-level domain is a number: what `loop` asks for when it tests itself exists nowhere.
    const otherwise = this.#data.otherwise ?? (/(^|\.)\d+\.$/.test(name) ? "NXDOMAIN" : undefined);
    if (otherwise === undefined) return this.#unknown(name);
    const answer = coded(query, otherwise);
    return answer.kind === "reply"
      ? { kind: "reply", message: { ...answer.message, answers } }
      : answer;
  }

  #unknown(name: string): WorldAnswer {
    const reason = `the world does not say what the resolver ${this.address} answers for ${name}`;
    return { kind: "unknown", reason };
  }
}

function coded(query: DnsMessage, answer: string): WorldAnswer {
  if (answer === "drop") return { kind: "drop" };
  return { kind: "reply", message: replyTo(query, { rcode: answer, ra: true }) };
}

function finished(
  query: DnsMessage,
  found: ZoneAnswer,
  answers: readonly DnsRecord[],
): WorldAnswer {
  const rcode =
    found.result === "nxdomain" ? "NXDOMAIN" : found.result === "servfail" ? "SERVFAIL" : "NOERROR";
  const denial = found.result === "nxdomain" || found.result === "nodata";
  const authorities = denial ? found.authorities : [];
  const message = replyTo(query, { rcode, ra: true, answers: [...answers], authorities });
  return { kind: "reply", message };
}
