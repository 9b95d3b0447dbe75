import type { DnsRecord } from "../../wire/dns-message.js";
import { namePositions, rdataWords } from "../../wire/dns-rdata.js";
import { isInZone, labelsOf, labelStarts } from "./names.js";

/** All records of one name, by type. */
export type ZoneNode = ReadonlyMap<string, readonly DnsRecord[]>;

/**
 * The records of a zone. The SOA and NS records of the apex are kept apart from the tree, as the real one does: a zone
 * with nothing else has no apex in its tree. Mirrors plugin/file/zone.go and tree/.
 */
export class Zone {
  readonly origin: string;
  readonly soa: DnsRecord;
  readonly ns: readonly DnsRecord[];
  readonly #apexSignatures: readonly DnsRecord[];
  readonly #nodes = new Map<string, Map<string, DnsRecord[]>>();
  /** Names in canonical order. */
  readonly #sorted: readonly string[];
  /** Names that exist only because others are below them. */
  readonly #nonTerminals = new Set<string>();

  constructor(origin: string, soa: DnsRecord, records: readonly DnsRecord[]) {
    this.origin = origin;
    this.soa = lowered(soa);
    const ns: DnsRecord[] = [];
    const signatures: DnsRecord[] = [];
    for (const item of records.map(lowered)) {
      const covered = item.type === "RRSIG" ? item.data.split(" ")[0] : undefined;
      const atApex = item.name === origin;
      if (item.type === "SOA") continue;
      if (item.type === "NS" && atApex) ns.push(item);
      else if (covered === "SOA" || (covered === "NS" && atApex)) signatures.push(item);
      else this.#insert(item);
    }
    this.ns = ns;
    this.#apexSignatures = signatures;
    this.#sorted = [...this.#nodes.keys()].toSorted(compareNames);
  }

  node(name: string): ZoneNode | undefined {
    return this.#nodes.get(name);
  }

  /** The records of a type at a name, with their signatures when asked for. */
  records(name: string, type: string, signed: boolean): readonly DnsRecord[] {
    return nodeRecords(this.#nodes.get(name), type, signed);
  }

  apexSoa(signed: boolean): readonly DnsRecord[] {
    return signed ? [this.soa, ...this.#signaturesOf("SOA")] : [this.soa];
  }

  apexNs(signed: boolean): readonly DnsRecord[] {
    return signed ? [...this.ns, ...this.#signaturesOf("NS")] : this.ns;
  }

  isEmptyNonTerminal(name: string): boolean {
    return this.#nonTerminals.has(name) && !this.#nodes.has(name);
  }

  /** The name of the tree that comes before, in canonical order. */
  previous(name: string): string | undefined {
    let found: string | undefined;
    for (const candidate of this.#sorted) {
      if (compareNames(candidate, name) >= 0) break;
      found = candidate;
    }
    return found;
  }

  /** The longest name of the tree that the name is at or below; the origin when it has a node. */
  closestEncloser(name: string): string | undefined {
    for (const start of labelStarts(name)) {
      const suffix = name.slice(start);
      if (this.#nodes.has(suffix)) return suffix;
      if (suffix === this.origin) break;
    }
    return this.#nodes.has(this.origin) ? this.origin : undefined;
  }

  /** Everything but the SOA, in canonical order, the NS records first. */
  all(): readonly DnsRecord[] {
    const nodes = this.#sorted.flatMap((name) =>
      [...(this.#nodes.get(name)?.values() ?? [])].flat(),
    );
    return [...this.apexNs(true), ...nodes];
  }

  #signaturesOf(type: string): readonly DnsRecord[] {
    return this.#apexSignatures.filter((item) => item.data.startsWith(`${type} `));
  }

  #insert(item: DnsRecord): void {
    const node = this.#nodes.get(item.name) ?? new Map<string, DnsRecord[]>();
    this.#nodes.set(item.name, node);
    const list = node.get(item.type) ?? [];
    node.set(item.type, [...list, item]);
    for (const start of labelStarts(item.name).slice(1)) {
      const parent = item.name.slice(start);
      if (!isInZone(parent, this.origin)) break;
      this.#nonTerminals.add(parent);
    }
  }
}

export function nodeRecords(
  node: ZoneNode | undefined,
  type: string,
  signed: boolean,
): readonly DnsRecord[] {
  const own = node?.get(type) ?? [];
  if (!signed || own.length === 0) return own;
  return [...own, ...(node?.get("RRSIG") ?? []).filter((item) => item.data.startsWith(`${type} `))];
}

/** Types whose target names are kept in lower case. */
const loweredTypes: ReadonlySet<string> = new Set(["NS", "SOA", "CNAME", "MX", "SVCB", "HTTPS"]);

function lowered(item: DnsRecord): DnsRecord {
  const name = item.name.toLowerCase();
  if (!loweredTypes.has(item.type)) return { ...item, name };
  const positions = namePositions(item.type);
  const words = rdataWords(item.data).map((word, at) => {
    const text = word.quoted ? `"${word.text}"` : word.text;
    return positions.includes(at) ? text.toLowerCase() : text;
  });
  return { ...item, name, data: words.join(" ") };
}

/** RFC 4034 §6.1: label by label from the right, in lower case. */
export function compareNames(a: string, b: string): number {
  const left = labelsOf(a.toLowerCase()).toReversed();
  const right = labelsOf(b.toLowerCase()).toReversed();
  for (const [at, label] of left.entries()) {
    const other = right[at];
    if (other === undefined) return 1;
    if (label !== other) return label < other ? -1 : 1;
  }
  return left.length - right.length;
}
