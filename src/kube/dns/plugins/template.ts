import type { DnsMessage, DnsRecord } from "../../../wire/dns-message.js";
import { RCODES } from "../../../wire/dns-message.js";
import { RR_CLASSES, RR_TYPES, rrClassNumber, rrTypeNumber } from "../../../wire/dns-rdata.js";
import type { Controller } from "../controller.js";
import {
  compileExpr,
  exprBuiltins,
  ExprFailure,
  exprKeywords,
  type Expr,
  type ExprType,
  type ExprValue,
} from "../expr.js";
import { compileRegexp, GoRegexp, type RegexpMatch } from "../../../base/go-regexp.js";
import {
  parseTemplate,
  TemplateFailure,
  type Template,
  type TemplateMap,
  type TemplateValue,
} from "../go-template.js";
import { parseInteger } from "../go-values.js";
import { questionOf, replyTo } from "../messages.js";
import { longestZone } from "../names.js";
import {
  definePlugin,
  unknownResult,
  unwritten,
  type DnsContext,
  type Plugin,
  type Query,
  type Walk,
} from "../plugin.js";
import { queryFunctions, queryFunctionTypes } from "../query-expr.js";
import { parseRecord } from "../zone-file.js";

interface Rule {
  readonly class: string;
  readonly type: string;
  readonly zones: readonly string[];
  readonly regexes: { readonly regex: GoRegexp; readonly source: string }[];
  readonly answers: Template[];
  readonly additionals: Template[];
  readonly authorities: Template[];
  readonly variables: { readonly name: string; readonly expr: Expr }[];
  readonly conditions: Expr[];
  rcode: string;
  ederror: { readonly code: number; readonly reason: string } | undefined;
  fallthrough: readonly string[] | undefined;
}

/** `template CLASS TYPE [ZONE…] { match … answer … }`: answers made from the name by patterns. */
export const template: Plugin = definePlugin({
  name: "template",
  setup(c) {
    const rules: Rule[] = [];
    let place = c.place();
    while (c.next()) {
      if (rules.length === 0) place = c.place();
      rules.push(directive(c));
    }
    return {
      name: "template",
      place,
      serve: (query, walk, context) => serve(query, walk, context, rules),
    };
  },
});

function directive(c: Controller): Rule {
  if (!c.nextArg()) throw c.argErr();
  const klass = c.val();
  if (!RR_CLASSES.has(klass)) throw c.err(`invalid query class ${klass}`, RR_CLASSES.keys());
  if (!c.nextArg()) throw c.argErr();
  const type = c.val();
  if (!RR_TYPES.has(type)) throw c.err(`invalid RR class ${type}`, RR_TYPES.keys());
  const rule: Rule = {
    class: klass,
    type,
    zones: c.zones(c.remainingArgs()),
    regexes: [],
    answers: [],
    additionals: [],
    authorities: [],
    variables: [],
    conditions: [],
    rcode: "NOERROR",
    ederror: undefined,
    fallthrough: undefined,
  };
  while (c.nextBlock()) property(c, rule);
  if (rule.regexes.length === 0) rule.regexes.push({ regex: new GoRegexp(".*"), source: ".*" });
  return rule;
}

const sections = {
  answer: "answers",
  additional: "additionals",
  authority: "authorities",
} as const;

function property(c: Controller, rule: Rule): void {
  const name = c.val();
  const args = c.remainingArgs();
  switch (name) {
    case "match":
      if (args.length === 0) throw c.argErr();
      for (const source of args) {
        const regex = compileRegexp(source);
        if (typeof regex === "string") throw c.err(`could not parse regex: ${source}, ${regex}`);
        rule.regexes.push({ regex, source });
      }
      return;
    case "answer":
    case "additional":
    case "authority":
      if (args.length === 0) throw c.argErr();
      rule[sections[name]].push(...args.map((source) => recordTemplate(c, name, source)));
      return;
    case "rcode":
      if (args.length !== 1) throw c.argErr();
      if (!RCODES.has(args[0] ?? "")) throw c.err(`unknown rcode ${args[0]}`, RCODES.keys());
      rule.rcode = args[0] ?? "NOERROR";
      return;
    case "ederror":
      rule.ederror = ederror(c, args);
      return;
    case "var":
      return variable(c, rule, args);
    case "expr":
      if (args.length === 0) throw c.argErr();
      rule.conditions.push(expression(c, rule, args.join(" "), ""));
      return;
    case "fallthrough":
      rule.fallthrough = c.fallthrough(args);
      return;
    case "upstream":
      return;
    default:
      throw c.argErr();
  }
}

function recordTemplate(c: Controller, name: keyof typeof sections, source: string): Template {
  const parsed = parseTemplate(name, source);
  // The real one ends two of the three messages with a line end.
  if ("error" in parsed) {
    throw c.err(
      `could not compile template: ${source}, ${parsed.error}${name === "answer" ? "" : "\n"}`,
    );
  }
  return parsed;
}

function ederror(c: Controller, args: readonly string[]): Rule["ederror"] {
  const [text, reason = ""] = args;
  if (text === undefined || args.length > 2) throw c.argErr();
  const code = parseInteger(text);
  if (code === undefined || code < 0 || code > 65_535) {
    throw c.err(
      `error parsing extended DNS error code ${c.val()}, strconv.ParseUint: parsing "${text}": invalid syntax\n`,
    );
  }
  return { code, reason };
}

function variable(c: Controller, rule: Rule, args: readonly string[]): void {
  const [name, ...words] = args;
  if (name === undefined || words.length === 0) throw c.argErr();
  if (!/^[A-Za-z_]\w*$/.test(name)) throw c.err(`invalid variable name "${name}"`);
  const { functions, variables } = scopeOf(rule);
  if (
    functions.has(name) ||
    variables.has(name) ||
    exprBuiltins.has(name) ||
    exprKeywords.has(name)
  ) {
    throw c.err(`variable name "${name}" is reserved`);
  }
  rule.variables.push({ name, expr: expression(c, rule, words.join(" "), `${name}, `) });
}

function expression(c: Controller, rule: Rule, source: string, prefix: string): Expr {
  const expr = compileExpr(source, scopeOf(rule));
  if ("error" in expr) throw c.err(`could not compile expression: ${prefix}${expr.error}`);
  return expr;
}

function scopeOf(rule: Rule): {
  readonly functions: Map<string, ExprType>;
  readonly variables: Map<string, ExprType>;
} {
  return {
    functions: new Map<string, ExprType>([...queryFunctionTypes, ["group", "string"]]),
    variables: new Map(rule.variables.map(({ name, expr }) => [name, expr.type])),
  };
}

function serve(query: Query, walk: Walk, context: DnsContext, rules: readonly Rule[]): void {
  const { name } = questionOf(query);
  const reasons: string[] = [];
  for (const rule of rules) {
    const zone = longestZone(rule.zones, name);
    if (zone === undefined || !asks(rule, query)) {
      reasons.push(`template ${rule.class} ${rule.type} is for others`);
      continue;
    }
    const match = matchRule(rule, query, zone);
    if (match !== undefined) return answer(query, walk, context, rule, match);
    if (longestZone(rule.fallthrough ?? [], name) === undefined) {
      const why = `no pattern of template ${rule.class} ${rule.type} matches`;
      return walk.respond(unwritten("SERVFAIL"), { action: "failed", why });
    }
    reasons.push(`template ${rule.class} ${rule.type} does not match; fallthrough`);
  }
  walk.next(query, { action: "passed", why: reasons.join("; ") });
}

function asks(rule: Rule, query: Query): boolean {
  const { type, class: klass } = questionOf(query);
  const classFits = rule.class === "ANY" || klass === "ANY" || rule.class === klass;
  return classFits && (rule.type === "ANY" || type === "ANY" || rule.type === type);
}

interface Match {
  readonly data: TemplateMap;
  readonly pattern: string;
}

function matchRule(rule: Rule, query: Query, zone: string): Match | undefined {
  const { name } = questionOf(query);
  for (const { regex, source } of rule.regexes) {
    const found = regex.exec(name.toLowerCase());
    if (found === undefined) continue;
    const variables = evaluateRule(rule, query, found);
    return variables === undefined
      ? undefined
      : { data: dataFor(rule, query, zone, found, variables), pattern: source };
  }
  return undefined;
}

/** The variables of the rule; undefined when a condition does not hold or something fails. */
function evaluateRule(
  rule: Rule,
  query: Query,
  found: RegexpMatch,
): Map<string, ExprValue> | undefined {
  const functions = queryFunctions(query).set("group", (key) => groupOf(found, key));
  const variables = new Map<string, ExprValue>();
  try {
    for (const { name, expr } of rule.variables)
      variables.set(name, expr.run({ functions, variables }));
    return rule.conditions.every((expr) => expr.run({ functions, variables }) === true)
      ? variables
      : undefined;
  } catch (error) {
    if (error instanceof ExprFailure) return undefined;
    throw error;
  }
}

function groupOf(found: RegexpMatch, key: ExprValue): string {
  return (
    (typeof key === "number"
      ? found.groups[key]
      : typeof key === "string"
        ? found.named[key]
        : undefined) ?? ""
  );
}

function dataFor(
  rule: Rule,
  query: Query,
  zone: string,
  found: RegexpMatch,
  variables: ReadonlyMap<string, ExprValue>,
): TemplateMap {
  const question = questionOf(query);
  const groups: Record<string, string> = {};
  for (const [at, text] of found.groups.entries()) groups[String(at)] = text;
  Object.assign(groups, found.named);
  return {
    "\u0000struct": true,
    Name: question.name,
    Zone: zone,
    Class: question.class === "ANY" ? rule.class : question.class,
    Type: question.type === "ANY" ? rule.type : question.type,
    Match: found.groups,
    Group: groups,
    Message: {
      Id: query.message.id,
      Opcode: query.message.opcode,
      RecursionDesired: query.message.rd,
    },
    Question: {
      Name: question.name,
      Qtype: rrTypeNumber(question.type),
      Qclass: rrClassNumber(question.class),
    },
    Remote: query.client.address,
    Meta: (label) => (typeof label === "string" ? (query.metadata?.get(label) ?? "") : ""),
    Var: Object.fromEntries([...variables].map(([key, value]) => [key, plain(value)])),
  };
}

function plain(value: ExprValue): TemplateValue {
  return Array.isArray(value) ? value.map(plain) : typeof value === "object" ? "" : value;
}

function answer(query: Query, walk: Walk, context: DnsContext, rule: Rule, match: Match): void {
  const why = `template ${rule.class} ${rule.type}, pattern ${match.pattern}: ${rule.rcode}`;
  if (rule.rcode === "SERVFAIL")
    return walk.respond(unwritten("SERVFAIL"), { action: "failed", why });
  let made: {
    readonly answers: DnsRecord[];
    readonly additionals: DnsRecord[];
    readonly authorities: DnsRecord[];
  };
  try {
    const records = (list: readonly Template[]): DnsRecord[] =>
      list.map((item) => makeRecord(item, match.data));
    made = {
      answers: records(rule.answers),
      additionals: records(rule.additionals),
      authorities: records(rule.authorities),
    };
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error;
    return walk.respond(unwritten("SERVFAIL", error.message), {
      action: "failed",
      why: error.message,
    });
  }
  completeCnames(query, context, made.answers, (answers, tc, unknown) => {
    if (unknown !== undefined)
      return walk.respond(unknownResult(unknown), { action: "unknown", why: unknown });
    const reply: DnsMessage = replyTo(query.message, {
      ...made,
      aa: true,
      tc,
      answers,
      rcode: rule.rcode,
      edns: ednsOf(rule),
    });
    walk.respond({ rcode: rule.rcode, replies: [reply] }, { action: "answered", why });
  });
}

function makeRecord(item: Template, data: TemplateMap): DnsRecord {
  const text = item.run(data);
  const record = parseRecord(text);
  if (record === undefined)
    throw new TemplateFailure(`dns: not a resource record: ${JSON.stringify(text)}`);
  return record;
}

function ednsOf(rule: Rule): DnsMessage["edns"] {
  if (rule.ederror === undefined) return undefined;
  const { code, reason } = rule.ederror;
  const data = Uint8Array.of(code >> 8, code & 255, ...new TextEncoder().encode(reason));
  return { udpSize: 4096, version: 0, do: true, options: [{ code: 15, data }] };
}

/** For address queries the target of each CNAME is looked up by the server and its answers follow it. */
function completeCnames(
  query: Query,
  context: DnsContext,
  records: readonly DnsRecord[],
  then: (answers: readonly DnsRecord[], tc: boolean, unknown: string | undefined) => void,
): void {
  const { type } = questionOf(query);
  const left = [...records];
  const answers: DnsRecord[] = [];
  let tc = false;
  next();

  function next(): void {
    const record = left.shift();
    if (record === undefined) return then(answers, tc, undefined);
    answers.push(record);
    if (record.type !== "CNAME" || (type !== "A" && type !== "AAAA")) return next();
    context.lookup(query, record.data, type, (result) => {
      if (result.unknown !== undefined) return then(answers, tc, result.unknown);
      const [reply] = result.replies;
      tc = reply?.tc ?? true;
      answers.push(...(reply?.answers ?? []));
      next();
    });
  }
}
