import * as v from "valibot";
import { throwCollected, UserError, type UserErrorDetails } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { seconds } from "../../sim/time.js";
import { RCODES } from "../../wire/dns-message.js";
import { isRrType } from "../../wire/dns-rdata.js";
import { parseIpv4 } from "../../wire/ip.js";
import { parseDocuments } from "../load/documents.js";
import { type FieldPath, SourceText } from "../load/source-text.js";
import { fqdn, isDomainName } from "./names.js";
import type { ResolverData, ResolverFault } from "./world-resolver.js";
import { Zone } from "./zone.js";
import { parseZone } from "./zone-file.js";

/** The resolvers outside of a cluster, and what the nodes' own resolv.conf says about them. */
export interface ResolverTable {
  readonly resolvers: ReadonlyMap<string, ResolverData>;
  readonly nodeResolvConf: string | undefined;
}

export const NO_RESOLVERS: ResolverTable = { resolvers: new Map(), nodeResolvConf: undefined };

const name = v.pipe(v.string(), v.check(isName, "expected a name, or *.NAME"));
const type = v.pipe(
  v.string(),
  v.check((text) => isRrType(text.toUpperCase()), "expected a record type: A, AAAA, MX, TYPE65"),
);
const codes = [...RCODES.keys()].filter((code) => (RCODES.get(code) ?? 16) < 16);
const code = v.picklist(
  [...codes, "drop"],
  `expected a response code or drop: ${codes.join(", ")}`,
);
const whole = v.pipe(v.number(), v.minValue(0), v.maxValue(31_536_000));

const resolverSchema = v.strictObject({
  records: v.optional(v.string(), ""),
  faults: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          name: v.optional(name),
          type: v.optional(type),
          after: v.optional(whole, 0),
          answer: code,
        }),
      ),
      v.maxLength(10_000),
    ),
    [],
  ),
  otherwise: v.optional(
    v.picklist([...codes, "drop", "UNKNOWN"], "expected a response code, drop or UNKNOWN"),
    "UNKNOWN",
  ),
});

const fileSchema = v.strictObject({
  resolvers: v.record(
    v.pipe(
      v.string(),
      v.check((text) => parseIpv4(text) !== undefined, "expected an IPv4 address"),
    ),
    v.nullable(resolverSchema),
  ),
  "node-resolv-conf": v.optional(v.string()),
});

/** Reads a file with `resolvers` (docs/dns.md). Throws UserError or UserErrors, each with its place. */
export function parseResolvers(file: string, text: string): ResolverTable {
  const source = new SourceText(file, text);
  const documents = parseDocuments(source).filter((document) => document !== null);
  if (documents.length !== 1)
    throw new UserError(
      "RESOLVERS_SYNTAX",
      `a resolvers file holds one document, this one ${documents.length}`,
      { place: source.placeAt(0) },
    );
  const parsed = v.safeParse(fileSchema, documents[0]);
  if (!parsed.success) throwCollected(parsed.issues.map((issue) => schemaError(source, issue)));
  const value = v.parse(fileSchema, documents[0]);
  const errors: UserError[] = [];
  const resolvers = new Map<string, ResolverData>();
  for (const [address, resolver] of Object.entries(value.resolvers)) {
    const { records, faults, otherwise } = resolver ?? v.parse(resolverSchema, {});
    const at = (): UserErrorDetails =>
      source.details(0, ["resolvers", address, "records"], "value");
    resolvers.set(address, {
      ...recordsOf(records, address, at, errors),
      faults: faults.map((fault): ResolverFault => ({
        name: fault.name === undefined ? undefined : fqdn(fault.name),
        type: fault.type?.toUpperCase(),
        after: seconds(fault.after),
        answer: fault.answer,
      })),
      otherwise: otherwise === "UNKNOWN" ? undefined : otherwise,
    });
  }
  throwCollected(errors);
  return { resolvers, nodeResolvConf: value["node-resolv-conf"] };
}

/** A zone file that stands alone: its origin is the owner of its SOA record. Throws UserError. */
export function parseZoneFile(file: string, text: string): Zone {
  const parsed = parseZone(text, ".", file, new Map());
  const lines = text.split("\n");
  if ("error" in parsed)
    throw new UserError("ZONE_SYNTAX", `dns: ${parsed.error}`, {
      place: { file, line: parsed.line, column: 1 },
      sourceLine: lines[parsed.line - 1],
    });
  const soa = parsed.records.find((item) => item.type === "SOA");
  if (soa === undefined)
    throw new UserError("ZONE_SOA", "the zone file has no SOA record", {
      place: { file, line: 1, column: 1 },
      help: "a few names without a zone stand in a resolvers file: docs/dns.md",
    });
  return new Zone(soa.name.toLowerCase(), soa, parsed.records);
}

/** Zones where there is a SOA record, loose names for the rest. */
function recordsOf(
  text: string,
  address: string,
  at: () => UserErrorDetails,
  errors: UserError[],
): Pick<ResolverData, "zones" | "records"> {
  const parsed = parseZone(text, ".", address, new Map());
  if ("error" in parsed) {
    const shown = (text.split("\n")[parsed.line - 1] ?? "").trim();
    errors.push(
      new UserError(
        "RESOLVERS_RECORD",
        `line ${parsed.line} of the records of ${address}: ${parsed.error}`,
        { ...at(), help: `the line is "${shown}"; records stand there as in a zone file` },
      ),
    );
    return { zones: [], records: [] };
  }
  const { records } = parsed;
  const zones = records
    .filter((item) => item.type === "SOA")
    .map(
      (soa) =>
        new Zone(
          soa.name.toLowerCase(),
          soa,
          records.filter((item) => below(item.name, soa.name)),
        ),
    );
  const loose = records.filter((item) => !zones.some(({ origin }) => below(item.name, origin)));
  return { zones, records: loose };
}

function below(owner: string, origin: string): boolean {
  const zone = origin.toLowerCase();
  const lower = owner.toLowerCase();
  return zone === "." || lower === zone || lower.endsWith(`.${zone}`);
}

function isName(text: string): boolean {
  return isDomainName(fqdn(text.startsWith("*.") ? text.slice(2) : text));
}

const knownFields = [
  ...Object.keys(fileSchema.entries),
  ...Object.keys(resolverSchema.entries),
  ...["name", "type", "after", "answer"],
];

function schemaError(source: SourceText, issue: v.BaseIssue<unknown>): UserError {
  const path: FieldPath = (issue.path ?? []).flatMap((item) =>
    typeof item.key === "string" || typeof item.key === "number" ? [item.key] : [],
  );
  const last = path.at(-1);
  if (issue.type === "strict_object" && issue.expected === "never" && typeof last === "string") {
    const near = nearest(last, knownFields);
    return new UserError("RESOLVERS_FIELD", `unknown field "${last}" in a resolvers file`, {
      ...source.details(0, path, "key"),
      help:
        near === undefined ? `known fields: ${knownFields.join(", ")}` : `did you mean "${near}"?`,
    });
  }
  return new UserError("RESOLVERS_FIELD", issue.message, source.details(0, path, "value"));
}
