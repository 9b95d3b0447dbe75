import type { DnsMessage, DnsRecord } from "../../wire/dns-message.js";
import { RCODES } from "../../wire/dns-message.js";
import { RR_CLASSES, RR_TYPES } from "../../wire/dns-rdata.js";
import type { Controller } from "./controller.js";
import { parseInteger } from "./go-values.js";
import { questionOf, withQuestion } from "./messages.js";
import type { Query } from "./plugin.js";
import { edns0Rule } from "./rewrite-edns0.js";
import {
  isMatchKind,
  normalName,
  regexFor,
  remap,
  rewriteOwner,
  rewriterOf,
  rewriteValue,
  type MatchKind,
  type Rewriter,
} from "./rewrite-names.js";

/** What a rule does to the reply. */
export type ResponseRule =
  | { readonly kind: "record"; readonly apply: (record: DnsRecord) => DnsRecord }
  | { readonly kind: "message"; readonly apply: (message: DnsMessage) => DnsMessage }
  | { readonly kind: "cname"; readonly target: Rewriter };

export interface Rewritten {
  readonly query: Query;
  /** The rule left the query alone but for an OPT record without options. */
  readonly ignored?: boolean;
  readonly responses: readonly ResponseRule[];
}

/** One rule of `rewrite`. `apply` is undefined for a query that it leaves alone. */
export interface RewriteRule {
  readonly stop: boolean;
  readonly text: string;
  apply(query: Query): Rewritten | undefined;
}

/** Reads the words of one rule. Mirrors plugin/rewrite/rewrite.go:newRule(). */
export function parseRule(c: Controller, args: readonly string[]): RewriteRule {
  const [first, ...others] = args;
  if (first === undefined) throw c.plain("no rule type specified for rewrite");
  const mode = first.toLowerCase();
  const hasMode = mode === "continue" || mode === "stop";
  const [type, ...rest] = hasMode ? others : args;
  if (type === undefined) throw c.plain(`${mode} rule must begin with a rule type`);
  return {
    stop: mode !== "continue",
    text: args.join(" "),
    apply: parseKind(c, type.toLowerCase(), rest, first),
  };
}

function parseKind(
  c: Controller,
  type: string,
  args: readonly string[],
  first: string,
): RewriteRule["apply"] {
  switch (type) {
    case "answer":
      throw c.plain("response rewrites must begin with a name rule");
    case "name":
      return nameRule(c, args);
    case "class":
    case "type":
      return wordRule(c, type, args);
    case "ttl":
      return ttlRule(c, args);
    case "rcode":
      return rcodeRule(c, args);
    case "cname":
      return cnameRule(c, args);
    case "edns0":
      return edns0Rule(c, args);
    default:
      throw c.plain(`invalid rule type "${first}"`, [
        "name",
        "class",
        "type",
        "ttl",
        "rcode",
        "cname",
        "edns0",
      ]);
  }
}

function nameRule(c: Controller, args: readonly string[]): RewriteRule["apply"] {
  if (args.length < 2) throw c.plain("too few arguments for a name rule");
  const kind = args.length === 2 ? "exact" : (args[0] ?? "").toLowerCase();
  const [from = "", to = "", ...answer] = args.length === 2 ? args : args.slice(1);
  if (!isMatchKind(kind)) {
    throw c.plain(
      `name rule supports only exact, prefix, suffix, substring, and regex name matching, received: ${kind}`,
    );
  }
  const { auto, rules } = answerRules(c, kind, answer);
  const pattern = kind === "regex" ? regexFor(c, from, to) : undefined;
  const source = kind === "regex" ? from : normalName(from);
  const target = normalName(to);
  const rewrite = rewriterOf(kind, source, target, pattern);
  return (query) => {
    const old = questionOf(query).name.toLowerCase();
    const changed = rewrite(old);
    if (changed === undefined) return undefined;
    const back = kind === "exact" || auto ? autoRules(kind, old, changed, source, target) : [];
    return { query: withQuestion(query, { name: changed }), responses: [...back, ...rules] };
  };
}

/** Turns names of the reply back, in owners and in values. */
function autoRules(
  kind: MatchKind,
  old: string,
  changed: string,
  from: string,
  to: string,
): ResponseRule[] {
  const suffix = (text: string): string =>
    text.endsWith(to) ? text.slice(0, text.length - to.length) + from : text;
  const change = kind === "suffix" ? suffix : remap(changed, old);
  return [
    { kind: "record", apply: (record) => rewriteOwner(record, change) },
    { kind: "record", apply: (record) => rewriteValue(record, change) },
  ];
}

function answerRules(
  c: Controller,
  kind: string,
  args: readonly string[],
): { readonly auto: boolean; readonly rules: readonly ResponseRule[] } {
  const words = [...args];
  const rules: ResponseRule[] = [];
  let auto = false;
  let last = "";
  while (words.length > 0) {
    if (last === "" && words[0] !== "answer") {
      throw c.plain(
        `exceeded the number of arguments for a non-answer rule argument for ${kind} rule`,
      );
    }
    if (words[0] === "answer") words.shift();
    const type = words.shift();
    if (type === undefined) throw c.plain(`type missing for answer rule for ${kind} rule`);
    last = type;
    if (type === "auto") {
      auto = true;
      continue;
    }
    if (type !== "name" && type !== "value")
      throw c.plain(`invalid type "${type}" for answer rule for ${kind} rule`);
    const [from, to] = words.splice(0, 2);
    if (from === undefined || to === undefined)
      throw c.plain(`${type} answer rule for ${kind} rule: 2 arguments required`);
    rules.push(answerRule(c, type, from, to));
  }
  return { auto, rules };
}

function answerRule(c: Controller, type: "name" | "value", from: string, to: string): ResponseRule {
  const rewrite = rewriterOf("regex", from, normalName(to), regexFor(c, from, to));
  const change = (text: string): string => rewrite(text) ?? text;
  return {
    kind: "record",
    apply: (record) =>
      type === "name" ? rewriteOwner(record, change) : rewriteValue(record, change),
  };
}

function wordRule(
  c: Controller,
  kind: "class" | "type",
  args: readonly string[],
): RewriteRule["apply"] {
  const [from, to, more] = args.map((arg) => arg.toUpperCase());
  if (from === undefined || to === undefined || more !== undefined) {
    throw c.plain(`${kind} rules must have exactly two arguments`);
  }
  const known = kind === "class" ? RR_CLASSES : RR_TYPES;
  for (const word of [from, to]) if (!known.has(word)) throw c.plain(`invalid ${kind} "${word}"`);
  return (query) =>
    questionOf(query)[kind] === from
      ? { query: withQuestion(query, { [kind]: to }), responses: [] }
      : undefined;
}

/** `[KIND] NAME`: which queries a ttl or rcode rule is for. */
function queryMatcher(
  c: Controller,
  rule: string,
  kind: string,
  name: string,
): (query: Query) => boolean {
  if (!isMatchKind(kind)) {
    throw c.plain(
      `${rule} rule supports only exact, prefix, suffix, substring, and regex name matching`,
    );
  }
  const text =
    kind === "exact" || kind === "suffix"
      ? normalName(name)
      : kind === "regex"
        ? name
        : name.toLowerCase();
  const rewrite = rewriterOf(kind, text, "", kind === "regex" ? regexFor(c, name, "") : undefined);
  return (query) => rewrite(questionOf(query).name.toLowerCase()) !== undefined;
}

function ttlRule(c: Controller, args: readonly string[]): RewriteRule["apply"] {
  if (args.length < 2) throw c.plain("too few arguments for a ttl rule");
  if (args.length > 3) throw c.plain(`too many arguments for a ttl rule`);
  const [kind = "", name = "", text = ""] = args.length === 2 ? ["exact", ...args] : args;
  const matches = queryMatcher(c, "ttl", kind.toLowerCase(), name);
  const range = /^(\d*)(-?)(\d*)$/.exec(text);
  const whole = range?.[2] === "" ? range[1] : undefined;
  const low = Number(range?.[1] ?? "");
  const high = whole === undefined ? (range?.[3] === "" ? 2_147_483_647 : Number(range?.[3])) : low;
  if (range === null || text === "" || text === "-" || low > high || high > 2_147_483_647) {
    throw c.plain(`invalid TTL '${text}' for a ttl rule`);
  }
  const apply = (record: DnsRecord): DnsRecord => ({
    ...record,
    ttl: Math.min(Math.max(record.ttl, low), high),
  });
  return (query) =>
    matches(query) ? { query, responses: [{ kind: "record", apply }] } : undefined;
}

function rcodeRule(c: Controller, args: readonly string[]): RewriteRule["apply"] {
  if (args.length < 3) throw c.plain("too few arguments for a rcode rule");
  if (args.length > 4) throw c.plain("too many arguments for a rcode rule");
  const [kind = "", name = "", fromText = "", toText = ""] =
    args.length === 3 ? ["exact", ...args] : args;
  const matches = queryMatcher(c, "rcode", kind.toLowerCase(), name);
  const from = rcode(fromText);
  const to = rcode(toText);
  if (from === undefined) throw c.plain(`invalid matching RCODE '${fromText}' for a rcode rule`);
  if (to === undefined) throw c.plain(`invalid replacement RCODE '${toText}' for a rcode rule`);
  const apply = (message: DnsMessage): DnsMessage =>
    message.rcode === from ? { ...message, rcode: to } : message;
  return (query) =>
    matches(query) ? { query, responses: [{ kind: "message", apply }] } : undefined;
}

function rcode(text: string): string | undefined {
  const number = parseInteger(text);
  if (number === undefined) return RCODES.has(text.toUpperCase()) ? text.toUpperCase() : undefined;
  return [...RCODES].find(([, value]) => value === number && number <= 23)?.[0];
}

function cnameRule(c: Controller, args: readonly string[]): RewriteRule["apply"] {
  if (args.length < 2) throw c.plain("too few arguments for a cname rule");
  if (args.length > 3) throw c.plain("too many (>3) arguments for a cname rule");
  const kind = args.length === 2 ? "exact" : (args[0] ?? "").toLowerCase();
  const [from = "", to = ""] = args.slice(-2);
  if (!isMatchKind(kind)) throw c.plain(`unknown cname rewrite type: ${kind}`);
  const pattern = kind === "regex" ? regexFor(c, from, to) : undefined;
  const target = rewriterOf(
    kind,
    kind === "regex" ? from : normalName(from),
    normalName(to),
    pattern,
  );
  return (query) => ({ query, responses: [{ kind: "cname", target }] });
}
