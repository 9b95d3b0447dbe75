import type { DnsMessage, DnsRecord } from "../../wire/dns-message.js";
import { sections } from "./messages.js";

/** What a reply is to the cache. Mirrors plugin/pkg/response.Typify(). */
export type CacheClass =
  | "NOERROR"
  | "NXDOMAIN"
  | "NODATA"
  | "SERVERERROR"
  | "DELEGATION"
  | "META"
  | "UPDATE"
  | "OTHERERROR";

/**
 * `date` is the wall clock as `20261125183000`: replies with a signature that is not valid then are errors to a client
 * that wants signatures.
 */
export function classify(reply: DnsMessage, type: string, date?: string): CacheClass {
  if (reply.opcode === 5) return "UPDATE";
  if (reply.opcode === 4 || type === "AXFR" || type === "IXFR") return "META";
  if (
    date !== undefined &&
    reply.edns?.do === true &&
    sections(reply).some((record) => isExpired(record, date))
  ) {
    return "OTHERERROR";
  }
  const hasSoa = reply.authorities.some((record) => record.type === "SOA");
  if (reply.answers.length > 0 && reply.rcode === "NXDOMAIN") return "OTHERERROR";
  if (reply.answers.length > 0 && reply.rcode === "NOERROR") {
    return hasSoa && !resolves(reply, type) ? "NODATA" : "NOERROR";
  }
  if (reply.rcode === "NOERROR" && hasSoa) return "NODATA";
  if (reply.rcode === "NXDOMAIN") return "NXDOMAIN";
  if (reply.rcode === "SERVFAIL" || reply.rcode === "NOTIMP") return "SERVERERROR";
  if (reply.rcode !== "NOERROR") return "OTHERERROR";
  return reply.authorities.some((record) => record.type === "NS") ? "DELEGATION" : "NOERROR";
}

/** True for a signature outside its time. */
function isExpired(record: DnsRecord, date: string): boolean {
  const [, , , , until = "", from = ""] = record.type === "RRSIG" ? record.data.split(" ") : [];
  return record.type === "RRSIG" && (date > until || date < from);
}

/** True when the answers, CNAMEs followed, hold what was asked for. */
export function resolves(reply: DnsMessage, type: string): boolean {
  const owned = (name: string): DnsRecord[] =>
    reply.answers.filter((record) => record.name.toLowerCase() === name.toLowerCase());
  let name = reply.questions[0]?.name ?? ".";
  if (type === "ANY") return owned(name).length > 0;
  const cnamesAt = (owner: string): ReadonlySet<string> =>
    new Set(
      owned(owner).flatMap((record) =>
        record.type === "CNAME" ? [record.data.toLowerCase()] : [],
      ),
    );
  if (type === "CNAME") return cnamesAt(name).size === 1;
  for (let steps = 0; steps <= reply.answers.length; steps++) {
    const [target, other] = cnamesAt(name);
    if (target === undefined) return owned(name).some((record) => record.type === type);
    if (other !== undefined) return false;
    name = target;
  }
  return false;
}

/** Why a reply is never kept; undefined when it may be. */
export function storeRefusal(reply: DnsMessage, kind: CacheClass): string | undefined {
  if (reply.tc) return "it is truncated";
  if (kind === "META" || kind === "UPDATE" || kind === "OTHERERROR") return `it is of kind ${kind}`;
  const hasSoa = reply.authorities.some((record) => record.type === "SOA");
  if (kind === "NXDOMAIN" && !hasSoa) return "an NXDOMAIN without a SOA record";
  const type = reply.questions[0]?.type ?? "A";
  if (kind === "NOERROR" && reply.answers.length > 0 && !resolves(reply, type) && !hasSoa) {
    return "its answers do not resolve the question and it has no SOA record";
  }
  return undefined;
}

export interface CacheLimits {
  readonly success: { readonly cap: number; readonly min: number };
  readonly denial: { readonly cap: number; readonly min: number };
  /** Seconds. */
  readonly servfail: number;
}

/** How many seconds a reply is kept: its lowest TTL, within the limits of its kind. */
export function cacheDuration(reply: DnsMessage, kind: CacheClass, limits: CacheLimits): number {
  if (kind === "SERVERERROR") return limits.servfail;
  const denial = kind === "NXDOMAIN" || kind === "NODATA";
  const { cap, min } = denial ? limits.denial : limits.success;
  const ttls = sections(reply).map((record) => record.ttl);
  const base = kind === "DELEGATION" || ttls.length === 0 ? 5 : Math.min(...ttls);
  return Math.max(min, Math.min(cap, base));
}
