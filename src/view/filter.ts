import { UserError, unreachable } from "../base/errors.js";
import { compileRegexp } from "../base/go-regexp.js";
import { encodeFrame } from "../wire/frame.js";
import {
  ipv6PrefixContains,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6,
  parseIpv6Prefix,
  prefixContains,
} from "../wire/ip.js";
import {
  effectOf,
  EFFECTS,
  FILTER_FIELDS,
  type FilterField,
  type FilterRow,
  packetOf,
  rowText,
} from "./filter-fields.js";
import {
  type FilterExpression,
  type FilterValue,
  numberOf,
  type Operator,
  OPERATORS,
  parseExpression,
  PRESETS,
  PROTOCOLS,
} from "./filter-parse.js";

/** A condition on steps: `effect == dnat and not reply`. The same language on the command line and on screen. */
export interface Filter {
  readonly text: string;
  matches(row: FilterRow): boolean;
}

/** Reads a filter. Throws a UserError with the column. */
export function parseFilter(text: string): Filter {
  return { text, matches: testOf(parseExpression(text)) };
}

/** What is wrong with a filter, in one line: `a value is missing after == at column 10`. */
export function filterMistake(text: string): string | undefined {
  try {
    parseExpression(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { place, help } = error.details;
    return `${error.message} at column ${place?.column ?? 1}${help === undefined ? "" : `; ${help}`}`;
  }
}

/** Words that can stand where the text ends, and the part of the last word that is there already. */
export function filterCompletions(
  text: string,
  rows: readonly FilterRow[],
): { readonly start: number; readonly words: readonly string[] } {
  const word = /[^\s"!=<>&|(){},]*$/.exec(text)?.[0] ?? "";
  const start = text.length - word.length;
  const before = text.slice(0, start).trimEnd();
  const compared = /([a-z0-9_.]+)\s*(?:==|!=|>=|<=|>|<|contains|in\s*\{(?:[^}]*,)?)$/i.exec(before);
  const field = FILTER_FIELDS.get(compared?.[1] ?? "");
  if (field !== undefined)
    return { start, words: valuesOf(field, rows).filter((value) => value.startsWith(word)) };
  const afterField = FILTER_FIELDS.has(before.split(/[\s()!]+/).at(-1) ?? "");
  const all: readonly string[] = afterField
    ? [...OPERATORS, "and", "or"]
    : [...FILTER_FIELDS.keys(), ...PRESETS, ...PROTOCOLS, "not", 'bpf:"'].filter(
        (name) => word !== "" || !/^(before|after)\./.test(name),
      );
  return { start, words: all.filter((name) => name.startsWith(word)) };
}

function valuesOf(field: FilterField, rows: readonly FilterRow[]): readonly string[] {
  if (field.name === "effect") return EFFECTS;
  const values = new Set(rows.slice(0, 2000).flatMap((row) => field.values(row)));
  return [...values]
    .slice(0, 50)
    .map((value) => (/^[^\s"!=<>&|(){},]+$/.test(value) ? value : `"${value}"`));
}

type Test = (row: FilterRow) => boolean;

function testOf(expression: FilterExpression): Test {
  switch (expression.kind) {
    case "or": {
      const [left, right] = [testOf(expression.left), testOf(expression.right)];
      return (row) => left(row) || right(row);
    }
    case "and": {
      const [left, right] = [testOf(expression.left), testOf(expression.right)];
      return (row) => left(row) && right(row);
    }
    case "not": {
      const inner = testOf(expression.inner);
      return (row) => !inner(row);
    }
    case "present":
      return (row) => expression.field.values(row).length > 0;
    case "text": {
      const wanted = expression.text.toLowerCase();
      return ({ step }) => rowText(step).toLowerCase().includes(wanted);
    }
    case "bpf":
      return (row) => expression.test(row.bytes ?? encodeFrame(packetOf(row)));
    case "word":
      return (row) => wordHolds(expression.word, row);
    case "compare":
      return comparison(expression.field, expression.operator, expression.values);
    default:
      return unreachable(expression);
  }
}

function wordHolds(word: string, row: FilterRow): boolean {
  const { step } = row;
  const { network, transport } = packetOf(row);
  switch (word) {
    case "decide":
      return step.decisive;
    case "changed":
      return step.changes.length > 0;
    case "dropped":
      return step.mark === "!";
    case "reply":
      return step.leg === "back";
    case "nat":
      return isNat(
        step.event.kind,
        effectOf(step),
        step.changes.map(({ field }) => field),
      );
    case "eth":
      return true;
    case "ip":
      return network?.kind === "ipv4";
    case "arp":
    case "ipv6":
      return network?.kind === word;
    case "dns":
      return (
        transport?.kind === "udp" &&
        (transport.sourcePort === 53 || transport.destinationPort === 53)
      );
    default:
      return transport?.kind === word;
  }
}

function isNat(kind: string, effect: string | undefined, changed: readonly string[]): boolean {
  if (effect === "dnat" || effect === "snat" || effect === "masquerade") return true;
  return kind === "rewrite" && changed.some((field) => field === "ip.src" || field === "ip.dst");
}

/** `!=` is true when no value equals, all others when any does. */
function comparison(field: FilterField, operator: Operator, wanted: readonly FilterValue[]): Test {
  const tests = wanted.map((want) => valueTest(field, operator, want));
  const some: Test = (row) => field.values(row).some((value) => tests.some((test) => test(value)));
  return operator === "!=" ? (row) => !some(row) : some;
}

function valueTest(
  field: FilterField,
  operator: Operator,
  want: FilterValue,
): (value: string) => boolean {
  switch (operator) {
    case "==":
    case "!=":
    case "in":
      return (value) => equals(field, value, want);
    case "contains": {
      const text = want.text.toLowerCase();
      return (value) => value.toLowerCase().includes(text);
    }
    case "matches": {
      const pattern = compileRegexp(`(?i)${want.text}`);
      // The parser has compiled it once already.
      return (value) => typeof pattern !== "string" && pattern.test(value);
    }
    default: {
      const limit = rank(field, want.text);
      return (value) => ordered(operator, rank(field, value), limit);
    }
  }
}

function equals(field: FilterField, value: string, { text, to }: FilterValue): boolean {
  if (to !== undefined)
    return rank(field, value) >= rank(field, text) && rank(field, value) <= rank(field, to);
  if (field.type === "number") return rank(field, value) === rank(field, text);
  if (field.type === "address") {
    const [prefix, address] = [parseIpv4Prefix(text), parseIpv4(value)];
    if (prefix !== undefined && address !== undefined) return prefixContains(prefix, address);
    const [prefix6, address6] = [parseIpv6Prefix(text), parseIpv6(value)];
    return prefix6 !== undefined && address6 !== undefined && ipv6PrefixContains(prefix6, address6);
  }
  return value.toLowerCase() === text.toLowerCase();
}

/** A value as something with an order; text by its letters. */
function rank(field: FilterField, text: string): number | bigint | string {
  if (field.type === "number") return numberOf(text) ?? Number.NaN;
  return field.type === "address" ? (parseIpv4(text) ?? parseIpv6(text) ?? Number.NaN) : text;
}

function ordered(
  operator: ">" | "<" | ">=" | "<=",
  a: number | bigint | string,
  b: number | bigint | string,
): boolean {
  switch (operator) {
    case ">":
      return a > b;
    case "<":
      return a < b;
    case ">=":
      return a >= b;
    case "<=":
      return a <= b;
    default:
      return unreachable(operator);
  }
}
