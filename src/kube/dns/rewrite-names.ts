import type { DnsRecord } from "../../wire/dns-message.js";
import { namePositions, rdataWords } from "../../wire/dns-rdata.js";
import type { Controller } from "./controller.js";
import { compileRegexp, type GoRegexp } from "../../base/go-regexp.js";
import { fqdn } from "./names.js";

export type MatchKind = "exact" | "prefix" | "suffix" | "substring" | "regex";

/** One text made of another; undefined when it does not match. */
export type Rewriter = (text: string) => string | undefined;

export function isMatchKind(text: string): text is MatchKind {
  return ["exact", "prefix", "suffix", "substring", "regex"].includes(text);
}

/** A name as a rule keeps it: lower case and absolute. */
export function normalName(text: string): string {
  return fqdn(text).toLowerCase();
}

export function rewriterOf(
  kind: MatchKind,
  from: string,
  to: string,
  pattern: GoRegexp | undefined,
): Rewriter {
  switch (kind) {
    case "exact":
      return (text) => (text === from ? to : undefined);
    case "prefix":
      return (text) => (text.startsWith(from) ? to + text.slice(from.length) : undefined);
    case "suffix":
      return (text) =>
        text.endsWith(from) ? text.slice(0, text.length - from.length) + to : undefined;
    case "substring":
      return (text) =>
        from !== "" && text.includes(from)
          ? text.replaceAll(from, () => to).slice(0, 1024)
          : undefined;
    case "regex":
      return (text) => (pattern === undefined ? undefined : replaceGroups(pattern, text, to));
  }
}

/** `{0}` … `{n}` of the replacement are what the groups matched. */
function replaceGroups(pattern: GoRegexp, text: string, to: string): string | undefined {
  const match = pattern.exec(text);
  if (match === undefined) return undefined;
  const { groups } = match;
  return to.replaceAll(/\{(\d{1,2})\}/g, (whole, group: string) => groups[Number(group)] ?? whole);
}

/** Compiles a pattern whose groups the replacement uses. */
export function regexFor(c: Controller, from: string, to: string): GoRegexp {
  const pattern = compileRegexp(from);
  if (typeof pattern === "string") throw c.plain(`invalid regex matching pattern: ${from}`);
  let used = 0;
  while (to.includes(`{${used}}`) && used < 100) used++;
  if (used - 1 > pattern.groupCount) {
    throw c.plain(
      `the rewrite regex pattern (${to}) uses more subexpressions than its corresponding matching regex pattern (${from})`,
    );
  }
  return pattern;
}

/** The name in reply turned back: the same, or anything below it. */
export function remap(orig: string, replacement: string): (text: string) => string {
  return (text) => {
    if (text === orig) return replacement;
    return text.endsWith(`.${orig}`)
      ? text.slice(0, text.length - orig.length) + replacement
      : text;
  };
}

const valueTypes: ReadonlySet<string> = new Set([
  "CNAME",
  "SRV",
  "MX",
  "NS",
  "DNAME",
  "NAPTR",
  "PTR",
  "SOA",
]);

export function rewriteOwner(record: DnsRecord, change: (text: string) => string): DnsRecord {
  return { ...record, name: change(record.name) };
}

/** Changes the first name in a record's data. */
export function rewriteValue(record: DnsRecord, change: (text: string) => string): DnsRecord {
  if (!valueTypes.has(record.type)) return record;
  const position = namePositions(record.type)[0];
  const words = rdataWords(record.data).map((word, at) => {
    const text = word.quoted ? `"${word.text}"` : word.text;
    return at === position ? change(text) : text;
  });
  return { ...record, data: words.join(" ") };
}
