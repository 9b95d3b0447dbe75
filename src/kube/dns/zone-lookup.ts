import type { DnsRecord } from "../../wire/dns-message.js";
import { namePositions, rdataWords } from "../../wire/dns-rdata.js";
import { record } from "./messages.js";
import { isDomainName, isInZone, labelStarts } from "./names.js";
import { nodeRecords, type Zone, type ZoneNode } from "./zone.js";

/** What a zone says about a name. `chase` is a CNAME whose target is not in the zone: the server has to look it up. */
export interface ZoneAnswer {
  readonly result: "success" | "nodata" | "nxdomain" | "delegation" | "servfail";
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  readonly chase: string | undefined;
  readonly why: string;
  /** The name exists only because others are below it. */
  readonly emptyNonTerminal: boolean;
}

interface Question {
  readonly zone: Zone;
  readonly name: string;
  readonly type: string;
  /** DO: signatures and denials are wanted. */
  readonly signed: boolean;
}

const maxChase = 8;

/** Looks a lower-cased name up in a zone. Mirrors plugin/file/lookup.go:Lookup(). */
export function lookupZone(zone: Zone, name: string, type: string, signed: boolean): ZoneAnswer {
  const question: Question = { zone, name, type, signed };
  if (name === zone.origin && type === "SOA") {
    return success(zone.apexSoa(signed), zone.apexNs(signed), [], "the zone's own record");
  }
  if (name === zone.origin && type === "NS") {
    return success(
      zone.apexNs(signed),
      [],
      glue(question, zone.ns, zone.origin),
      "the zone's own name servers",
    );
  }
  return walkDown(question) ?? atName(question);
}

function success(
  answers: readonly DnsRecord[],
  authorities: readonly DnsRecord[],
  additionals: readonly DnsRecord[],
  why: string,
): ZoneAnswer {
  const rest = { chase: undefined, why, emptyNonTerminal: false };
  return { result: "success", answers, authorities, additionals, ...rest };
}

/** From the apex to the name: a DNAME above it or a delegation at or above it ends the search. */
function walkDown(question: Question): ZoneAnswer | undefined {
  const { zone, name, type, signed } = question;
  const suffixes = labelStarts(name).map((start) => name.slice(start));
  const below = suffixes.filter((suffix) => isInZone(suffix, zone.origin)).toReversed();
  for (const suffix of below) {
    const node = zone.node(suffix);
    const dname = node?.get("DNAME")?.[0];
    if (dname !== undefined && suffix !== name) return substitute(question, dname, node);
    if (node?.get("NS") === undefined) continue;
    if (type === "DS" && suffix === name) continue;
    const ns = node.get("NS") ?? [];
    const signatures = signed ? nodeRecords(node, "DS", true) : [];
    return {
      ...success([], [...ns, ...signatures], glue(question, ns, suffix), `delegated at ${suffix}`),
      result: "delegation",
    };
  }
  return undefined;
}

/** RFC 6672 §2.2: the part of the name below the owner is put in front of the target. */
function substitute(question: Question, dname: DnsRecord, node: ZoneNode | undefined): ZoneAnswer {
  const { name, type, signed, zone } = question;
  const prefix = name.slice(0, name.length - dname.name.length);
  const target = dname.data === "." ? prefix : `${prefix}${dname.data.toLowerCase()}`;
  const dnames = nodeRecords(node, "DNAME", signed);
  if (target === name || !isDomainName(target))
    return { ...success([], [], [], "a DNAME that leads nowhere"), result: "servfail" };
  const cname = record(name, "CNAME", dname.ttl, target);
  const followed =
    type === "CNAME"
      ? success([cname], zone.apexNs(signed), [], `DNAME at ${dname.name}`)
      : chaseCname(question, [cname]);
  return {
    ...followed,
    answers: [...dnames, ...followed.answers],
    why: `DNAME at ${dname.name}; ${followed.why}`,
  };
}

function atName(question: Question): ZoneAnswer {
  const { zone, name } = question;
  const node = zone.node(name);
  if (node !== undefined) return atNode(question, node, undefined);
  if (zone.isEmptyNonTerminal(name)) return denied(question, true);
  const wildcard = wildcardFor(question);
  if (wildcard === undefined) return denied(question, false);
  const wild = zone.node(wildcard);
  return wild === undefined ? denied(question, true) : atNode(question, wild, wildcard);
}

/** `*.` in front of the closest name that exists, when that exists itself. RFC 4592. */
function wildcardFor({ zone, name }: Question): string | undefined {
  for (const start of labelStarts(name).slice(1)) {
    const parent = name.slice(start);
    if (!isInZone(parent, zone.origin)) return undefined;
    const wildcard = `*.${parent}`;
    if (zone.node(wildcard) !== undefined || zone.isEmptyNonTerminal(wildcard)) return wildcard;
    if (
      parent === zone.origin ||
      zone.node(parent) !== undefined ||
      zone.isEmptyNonTerminal(parent)
    )
      return undefined;
  }
  return undefined;
}

function atNode(question: Question, node: ZoneNode, wildcard: string | undefined): ZoneAnswer {
  const { zone, name, type, signed } = question;
  const owned = (records: readonly DnsRecord[]): readonly DnsRecord[] =>
    wildcard === undefined ? records : records.map((item) => ({ ...item, name }));
  const where = wildcard === undefined ? "the name has the record" : `wildcard ${wildcard}`;
  if (type !== "CNAME" && node.get("CNAME") !== undefined) {
    return chaseCname(question, owned(nodeRecords(node, "CNAME", signed)));
  }
  const plain = node.get(type) ?? [];
  if (plain.length === 0) {
    const nsec = signed ? nodeRecords(node, "NSEC", true) : [];
    const why = `${wildcard === undefined ? "the name" : where} has no ${type} record`;
    return { ...success([], [...zone.apexSoa(signed), ...nsec], [], why), result: "nodata" };
  }
  const denial = wildcard !== undefined && signed ? denialBefore(question, name) : [];
  const records = owned(nodeRecords(node, type, signed));
  return success(records, [...zone.apexNs(signed), ...denial], additionals(question, plain), where);
}

function denied(question: Question, exists: boolean): ZoneAnswer {
  const { zone, name, signed } = question;
  const authorities = [...zone.apexSoa(signed), ...(signed ? denials(question, exists) : [])];
  const why = exists ? "the name exists only above others" : `no such name in ${zone.origin}`;
  const base = { ...success([], authorities, [], why), emptyNonTerminal: exists };
  void name;
  return { ...base, result: exists ? "success" : "nxdomain" };
}

/** The NSEC before the name, and for names that do not exist the one before their wildcard. */
function denials(question: Question, exists: boolean): readonly DnsRecord[] {
  const { zone, name } = question;
  const before = zone.previous(name);
  if (before === undefined) return [];
  const first = zone.records(before, "NSEC", true);
  const encloser = exists ? undefined : zone.closestEncloser(name);
  const wild = encloser === undefined ? undefined : zone.previous(`*.${encloser}`);
  return wild === undefined || wild === before
    ? first
    : [...first, ...zone.records(wild, "NSEC", true)];
}

function denialBefore({ zone }: Question, name: string): readonly DnsRecord[] {
  const before = zone.previous(name);
  return before === undefined ? [] : zone.records(before, "NSEC", true);
}

/** Follows CNAMEs as long as their targets are in the zone. */
function chaseCname(question: Question, start: readonly DnsRecord[]): ZoneAnswer {
  const { zone, type, signed } = question;
  const answers = [...start];
  let target = targetOf(start);
  const names = [target];
  for (let steps = 0; steps <= maxChase; steps++) {
    const cut = delegationAbove(zone, target);
    if (cut !== undefined) {
      const ns = zone.node(cut)?.get("NS") ?? [];
      return success(
        answers,
        ns,
        glue(question, ns, cut),
        `CNAME to ${names.join(" to ")}, which is delegated`,
      );
    }
    const node = zone.node(target);
    if (node === undefined) {
      return {
        ...success(answers, zone.apexNs(signed), [], `CNAME to ${names.join(" to ")}`),
        chase: target,
      };
    }
    const cname = nodeRecords(node, "CNAME", signed);
    if (cname.length === 0) {
      const found =
        target === zone.origin && (type === "SOA" || type === "NS")
          ? apexRecords(question)
          : nodeRecords(node, type, signed);
      answers.push(...found);
      return success(
        answers,
        zone.apexNs(signed),
        additionals(question, found),
        `CNAME to ${names.join(" to ")}`,
      );
    }
    answers.push(...cname);
    target = targetOf(cname);
    names.push(target);
  }
  return success(answers, zone.apexNs(signed), [], `a chain of more than ${maxChase} CNAMEs`);
}

function apexRecords({ zone, type, signed }: Question): readonly DnsRecord[] {
  return type === "SOA" ? zone.apexSoa(signed) : zone.apexNs(signed);
}

function targetOf(records: readonly DnsRecord[]): string {
  return records.find((item) => item.type === "CNAME")?.data.toLowerCase() ?? ".";
}

function delegationAbove(zone: Zone, name: string): string | undefined {
  if (!isInZone(name, zone.origin)) return undefined;
  return labelStarts(name)
    .map((start) => name.slice(start))
    .filter((suffix) => suffix !== zone.origin && isInZone(suffix, zone.origin))
    .findLast((suffix) => zone.node(suffix)?.get("NS") !== undefined);
}

/** The addresses of name servers that are at or below the cut. */
function glue(
  { zone, signed }: Question,
  ns: readonly DnsRecord[],
  cut: string,
): readonly DnsRecord[] {
  return ns
    .map((item) => item.data)
    .filter((target) => isInZone(target, cut))
    .flatMap((target) => [
      ...zone.records(target, "A", signed),
      ...zone.records(target, "AAAA", signed),
    ]);
}

const withTargets: ReadonlySet<string> = new Set(["SRV", "MX", "SVCB", "HTTPS"]);

/** The addresses of the targets of a record set that are in the zone. */
function additionals(
  { zone, signed, name }: Question,
  records: readonly DnsRecord[],
): readonly DnsRecord[] {
  const targets = records
    .filter((item) => withTargets.has(item.type))
    .map(
      (item) => rdataWords(item.data)[namePositions(item.type)[0] ?? 0]?.text.toLowerCase() ?? ".",
    )
    .map((target) => (target === "." ? name : target));
  return [...new Set(targets)]
    .filter((target) => isInZone(target, zone.origin))
    .flatMap((target) => [
      ...zone.records(target, "A", signed),
      ...zone.records(target, "AAAA", signed),
    ]);
}
