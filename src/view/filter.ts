import { UserError, unreachable } from "../base/errors.js";
import { parseIpv4, parseIpv4Prefix, prefixContains } from "../wire/ip.js";
import {
  effectOf,
  EFFECTS,
  FILTER_FIELDS,
  type FilterField,
  type FilterRow,
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
  const expression = parseExpression(text);
  return { text, matches: (row) => holds(expression, row) };
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
    : [...FILTER_FIELDS.keys(), ...PRESETS, ...PROTOCOLS, "not"].filter(
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

function holds(expression: FilterExpression, row: FilterRow): boolean {
  switch (expression.kind) {
    case "or":
      return holds(expression.left, row) || holds(expression.right, row);
    case "and":
      return holds(expression.left, row) && holds(expression.right, row);
    case "not":
      return !holds(expression.inner, row);
    case "present":
      return expression.field.values(row).length > 0;
    case "text":
      return rowText(row.step).toLowerCase().includes(expression.text.toLowerCase());
    case "word":
      return wordHolds(expression.word, row);
    case "compare":
      return compare(expression.field, expression.operator, expression.values, row);
    default:
      return unreachable(expression);
  }
}

function wordHolds(word: string, { step }: FilterRow): boolean {
  const { network, transport } = step.frame;
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
      return network?.kind === "arp";
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
function compare(
  field: FilterField,
  operator: Operator,
  wanted: readonly FilterValue[],
  row: FilterRow,
): boolean {
  const values = field.values(row);
  if (operator === "!=")
    return !values.some((value) => wanted.some((want) => equals(field, value, want)));
  return values.some((value) => wanted.some((want) => compareOne(field, operator, value, want)));
}

function compareOne(
  field: FilterField,
  operator: Operator,
  value: string,
  want: FilterValue,
): boolean {
  switch (operator) {
    case "==":
    case "!=":
    case "in":
      return equals(field, value, want);
    case "contains":
      return value.toLowerCase().includes(want.text.toLowerCase());
    case "matches":
      return new RegExp(want.text, "i").test(value);
    default:
      return ordered(operator, rank(field, value), rank(field, want.text));
  }
}

function equals(field: FilterField, value: string, { text, to }: FilterValue): boolean {
  if (to !== undefined)
    return rank(field, value) >= rank(field, text) && rank(field, value) <= rank(field, to);
  if (field.type === "number") return rank(field, value) === rank(field, text);
  if (field.type === "address") {
    const prefix = parseIpv4Prefix(text);
    const address = parseIpv4(value);
    return prefix !== undefined && address !== undefined && prefixContains(prefix, address);
  }
  return value.toLowerCase() === text.toLowerCase();
}

/** A value as something with an order; text by its letters. */
function rank(field: FilterField, text: string): number | string {
  if (field.type === "number") return numberOf(text) ?? Number.NaN;
  return field.type === "address" ? (parseIpv4(text) ?? Number.NaN) : text;
}

function ordered(
  operator: ">" | "<" | ">=" | "<=",
  a: number | string,
  b: number | string,
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
