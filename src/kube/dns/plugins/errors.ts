import type { Micros } from "../../../sim/time.js";
import { rcodeNumber } from "../../../wire/dns.js";
import type { Controller } from "../controller.js";
import { compileRegexp, type GoRegexp } from "../../../base/go-regexp.js";
import { duration } from "../go-values.js";
import { questionOf } from "../messages.js";
import {
  definePlugin,
  type DnsContext,
  type Handler,
  type Plugin,
  type Query,
  type Result,
} from "../plugin.js";

interface Pattern {
  readonly period: Micros;
  readonly source: string;
  readonly regex: GoRegexp;
  readonly level: string;
  readonly showFirst: boolean;
  count: number;
}

const levels: ReadonlySet<string> = new Set(["warning", "error", "info", "debug"]);

/** `errors [stdout] { consolidate DURATION REGEXP [LEVEL] [show_first] }`: logs the errors that come back from below. */
export const errors: Plugin = definePlugin({
  name: "errors",
  setup(c) {
    const patterns: Pattern[] = [];
    let place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      place = c.place();
      const args = c.remainingArgs();
      if (args.length > 1) throw c.argErr();
      if (args.length === 1 && args[0] !== "stdout") throw c.plain(`invalid log file: ${args[0]}`);
      while (c.nextBlock()) property(c, patterns);
    }
    return handler(place, patterns);
  },
});

function property(c: Controller, patterns: Pattern[]): void {
  const name = c.val();
  const args = c.remainingArgs();
  if (name === "stacktrace") {
    if (args.length > 0) throw c.argErr();
    return;
  }
  if (name !== "consolidate") throw c.syntaxErr(`Unknown field ${name}`);
  const [period, source] = args;
  if (period === undefined || source === undefined || args.length > 4) throw c.argErr();
  const rest = args.slice(2);
  const showFirst = rest.at(-1) === "show_first";
  const [level = "error", more] = showFirst ? rest.slice(0, -1) : rest;
  if (more !== undefined || !levels.has(level))
    throw c.plain(`unknown log level argument in consolidate: ${more ?? level}`);
  const regex = compileRegexp(source);
  if (typeof regex === "string") throw c.plain(regex);
  patterns.push({
    period: duration(c, period),
    source,
    regex,
    level: level.toUpperCase(),
    showFirst,
    count: 0,
  });
}

function handler(place: Handler["place"], patterns: readonly Pattern[]): Handler {
  return {
    name: "errors",
    place,
    serve(query, walk, context) {
      walk.next(query, { action: "passed", why: "logs errors that come back" }, (result) => {
        if (result.error === undefined) return walk.respond(result);
        const line = lineOf(query, result);
        log(line, patterns, context);
        walk.respond(result, { action: "logged", why: line });
      });
    },
  };
}

function lineOf(query: Query, result: Result): string {
  const { name, type } = questionOf(query);
  return `${rcodeNumber(result.rcode)} ${name.toLowerCase()} ${type}: ${result.error}`;
}

function log(line: string, patterns: readonly Pattern[], context: DnsContext): void {
  const pattern = patterns.find((candidate) => candidate.regex.test(line));
  if (pattern === undefined) return context.log(`[ERROR] plugin/errors: ${line}`);
  if (pattern.count++ > 0) return;
  if (pattern.showFirst) context.log(`[${pattern.level}] plugin/errors: ${line}`);
  context.after(pattern.period, "errors consolidate", () => {
    const { count, level, source, showFirst } = pattern;
    pattern.count = 0;
    if (showFirst && count === 1) return;
    context.log(
      `[${level}] plugin/errors: ${count} errors like '${source}' occurred in last ${period(pattern)}`,
    );
  });
}

function period(pattern: Pattern): string {
  const seconds = pattern.period / 1_000_000;
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${seconds}s`;
}
