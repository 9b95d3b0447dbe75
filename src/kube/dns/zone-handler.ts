import type { DnsMessage } from "../../wire/dns-message.js";
import { questionOf, replyTo } from "./messages.js";
import { longestZone } from "./names.js";
import {
  unknownResult,
  unwritten,
  written,
  type DnsContext,
  type Handler,
  type Query,
  type Result,
  type TransferResult,
  type Walk,
} from "./plugin.js";
import { lookupZone, type ZoneAnswer } from "./zone-lookup.js";
import type { Zone } from "./zone.js";

/** Zones by origin; a zone whose file is missing is there without records. */
export type Zones = ReadonlyMap<string, Zone | undefined>;

/** Lookups of CNAME targets that may nest before SERVFAIL. */
const maxNested = 8;

/** Answers from zones: what `file` and `auto` have in common. Mirrors plugin/file/file.go:ServeDNS(). */
export class ZoneHandler implements Handler {
  readonly name: string;
  readonly place: Handler["place"];
  readonly #zones: Zones;
  readonly #fallthrough: readonly string[] | undefined;

  constructor(
    name: string,
    place: Handler["place"],
    zones: Zones,
    fallthrough: readonly string[] | undefined,
  ) {
    this.name = name;
    this.place = place;
    this.#zones = zones;
    this.#fallthrough = fallthrough;
  }

  serve(query: Query, walk: Walk, context: DnsContext): void {
    const { name, type } = questionOf(query);
    const lower = name.toLowerCase();
    const origin = longestZone([...this.#zones.keys()], lower);
    if (origin === undefined) {
      const why = "the name is in none of its zones";
      if (walk.last) return walk.respond(unwritten("REFUSED"), { action: "refused", why });
      return walk.next(query, { action: "passed", why });
    }
    if (type === "AXFR" || type === "IXFR") {
      return walk.respond(unwritten("REFUSED"), {
        action: "refused",
        why: "transfers are for the transfer plugin",
      });
    }
    const zone = this.#zones.get(origin);
    if (zone === undefined || query.depth > maxNested) {
      const why =
        zone === undefined
          ? `the zone ${origin} has no records`
          : "too many lookups within lookups";
      return walk.respond(unwritten("SERVFAIL"), { action: "failed", why });
    }
    const answer = lookupZone(zone, lower, type, query.message.edns?.do === true);
    const empty =
      answer.answers.length === 0 && (answer.result === "nxdomain" || answer.emptyNonTerminal);
    const falls = empty ? longestZone(this.#fallthrough ?? [], lower) : undefined;
    if (falls !== undefined)
      return walk.next(query, { action: "passed", why: `${answer.why}; fallthrough ${falls}` });
    if (answer.chase === undefined) return this.#write(query, walk, answer);
    this.#chase(query, walk, context, zone, answer, answer.chase);
  }

  transfer(origin: string, _query: Query, _context: DnsContext): TransferResult | undefined {
    const zone = this.#zones.get(origin);
    if (zone === undefined) return undefined;
    const [soa] = zone.apexSoa(false);
    const serial = Number(soa?.data.split(" ")[2] ?? 0);
    return { serial, records: [...zone.apexSoa(true), ...zone.all(), ...zone.apexSoa(false)] };
  }

  /** The CNAME leads out of the zone's records: the whole server answers for its target. RFC 6604 §3. */
  #chase(
    query: Query,
    walk: Walk,
    context: DnsContext,
    zone: Zone,
    answer: ZoneAnswer,
    target: string,
  ): void {
    context.lookup(query, target, questionOf(query).type, (result) => {
      if (result.unknown !== undefined) {
        return walk.respond(unknownResult(result.unknown), {
          action: "unknown",
          why: result.unknown,
        });
      }
      const found = outcomeOf(result);
      const signed = query.message.edns?.do === true;
      const denial = found === "nxdomain" || found === "nodata";
      this.#write(query, walk, {
        ...answer,
        result: found,
        answers: [...answer.answers, ...(result.replies[0]?.answers ?? [])],
        authorities: denial ? zone.apexSoa(signed) : zone.apexNs(signed),
      });
    });
  }

  #write(query: Query, walk: Walk, answer: ZoneAnswer): void {
    const { answers, authorities, additionals, result, why } = answer;
    if (result === "servfail" && answers.length === 0) {
      return walk.respond(unwritten("SERVFAIL"), { action: "failed", why });
    }
    const rcode =
      result === "nxdomain" ? "NXDOMAIN" : result === "servfail" ? "SERVFAIL" : "NOERROR";
    const fields: Partial<DnsMessage> = {
      rcode,
      aa: result !== "delegation",
      answers,
      authorities,
      additionals,
    };
    walk.respond(written(replyTo(query.message, fields)), { action: "answered", why });
  }
}

function outcomeOf(result: Result): ZoneAnswer["result"] {
  const [reply] = result.replies;
  if (reply?.rcode === "NXDOMAIN") return "nxdomain";
  if (reply?.rcode === "SERVFAIL") return "servfail";
  return reply?.rcode === "NOERROR" && reply.answers.length === 0 ? "nodata" : "success";
}
