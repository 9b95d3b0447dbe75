import type { Place } from "../../base/errors.js";
import type { SourceText } from "../load/source-text.js";
import type { Origin } from "../objects.js";
import type { FieldPath } from "../load/source-text.js";
import { entryLines, flowText, itemLines } from "./yaml-lines.js";

/** A change to a text: `remove` lines after line `afterLine` go, `insert` comes in their place. Lines count from 1. */
export interface TextPatch {
  readonly file: string;
  readonly afterLine: number;
  readonly remove: number;
  readonly insert: readonly string[];
}

/** The text with patches applied; each one's lines are those of the text before all of them. */
export function applyPatches(text: string, patches: readonly TextPatch[]): string {
  const lines = text.split("\n");
  for (const { afterLine, remove, insert } of patches.toSorted((a, b) => b.afterLine - a.afterLine))
    lines.splice(afterLine, remove, ...insert);
  return lines.join("\n");
}

/** Adds an item to a list, at its end or before the item of a number. Undefined where the text cannot be followed. */
export function insertItem(
  origin: Origin,
  list: FieldPath,
  item: unknown,
  before?: number,
): TextPatch | undefined {
  const at = locate(origin, list);
  if (at === undefined) return undefined;
  const { source, lines, line, column } = at;
  const first = lines[line - 1]?.[column - 1];
  const place = before === undefined ? undefined : origin.details([...list, before], "value").place;
  if (first === "[") {
    const text = flowText(item, isJson(source));
    return place === undefined ? insertIntoFlow(at, text) : insertBefore(at, place, text);
  }
  if (first !== "-") return undefined;
  const insert = itemLines(item).map((text) => " ".repeat(column - 1) + text);
  const afterLine = place === undefined ? endOfBlock(lines, line, column) : place.line - 1;
  return { file: origin.file, afterLine, remove: 0, insert };
}

/** Adds a key to a mapping, at its end. */
export function insertEntry(
  origin: Origin,
  mapping: FieldPath,
  key: string,
  value: unknown,
): TextPatch | undefined {
  const at = locate(origin, mapping);
  if (at === undefined) return undefined;
  const { source, lines, line, column } = at;
  if (lines[line - 1]?.[column - 1] === "{") {
    const json = isJson(source);
    return insertIntoFlow(at, `${flowText(key, json)}: ${flowText(value, json)}`);
  }
  const insert = entryLines(key, value).map((text) => " ".repeat(column - 1) + text);
  return { file: origin.file, afterLine: endOfMapping(lines, line, column), remove: 0, insert };
}

/** Replaces a value that stands in one line. */
export function replaceScalar(
  origin: Origin,
  path: FieldPath,
  value: string,
): TextPatch | undefined {
  const { source } = origin;
  const { place, length } = origin.details(path, "value");
  if (source === undefined || place === undefined || length === undefined) return undefined;
  const line = source.line(place.line);
  const changed =
    line.slice(0, place.column - 1) +
    flowText(value, isJson(source)) +
    line.slice(place.column - 1 + length);
  return { file: origin.file, afterLine: place.line - 1, remove: 1, insert: [changed] };
}

interface Located {
  readonly source: SourceText;
  readonly lines: readonly string[];
  readonly line: number;
  readonly column: number;
}

function locate(origin: Origin, path: FieldPath): Located | undefined {
  const { source } = origin;
  const place = origin.details(path, "value").place;
  if (source === undefined || place === undefined) return undefined;
  return { source, lines: source.text.split("\n"), line: place.line, column: place.column };
}

function isJson({ text }: SourceText): boolean {
  return /^\s*[[{]/.test(text.slice(0, 1_000));
}

/** The last line of a block sequence whose dashes stand in a column. */
function endOfBlock(lines: readonly string[], first: number, column: number): number {
  return lastWhile(
    lines,
    first,
    (indent, text) => indent >= column || (indent === column - 1 && /^-(\s|$)/.test(text)),
  );
}

function endOfMapping(lines: readonly string[], first: number, column: number): number {
  // A sequence may stand under its key without being indented further.
  return lastWhile(lines, first, (indent) => indent >= column - 1);
}

/** The last line with text from `first` on, as long as the lines belong; blank lines and comments decide nothing. */
function lastWhile(
  lines: readonly string[],
  first: number,
  belongs: (indent: number, text: string) => boolean,
): number {
  let last = first;
  for (let line = first + 1; line <= lines.length; line++) {
    const text = lines[line - 1] ?? "";
    const trimmed = text.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    if (
      /^(---|\.\.\.)(\s|$)/.test(text) ||
      !belongs(text.length - text.trimStart().length, trimmed)
    )
      break;
    last = line;
  }
  return last;
}

/** Writes before the bracket that closes the one at a place. The line of the last thing inside is replaced. */
function insertIntoFlow(
  { source, lines, line, column }: Located,
  text: string,
): TextPatch | undefined {
  const end = closingBracket(lines, line, column);
  if (end === undefined) return undefined;
  const { row, index, empty } = end;
  const old = lines[row] ?? "";
  const changed = `${old.slice(0, index)}${empty ? "" : ", "}${text}${old.slice(index)}`;
  return { file: source.file, afterLine: row, remove: 1, insert: [changed] };
}

/** Writes before an item that stands in brackets. */
function insertBefore(
  { source, lines }: Located,
  { line, column }: Place,
  text: string,
): TextPatch {
  const old = lines[line - 1] ?? "";
  const insert = [`${old.slice(0, column - 1)}${text}, ${old.slice(column - 1)}`];
  return { file: source.file, afterLine: line - 1, remove: 1, insert };
}

/** Just after the last thing inside the brackets: a row counting from 0, and an index in it. */
function closingBracket(
  lines: readonly string[],
  line: number,
  column: number,
): { readonly row: number; readonly index: number; readonly empty: boolean } | undefined {
  let depth = 0;
  let quote = "";
  let last = { row: line - 1, index: column, empty: true };
  for (let row = line - 1; row < lines.length; row++) {
    const text = lines[row] ?? "";
    for (let index = row === line - 1 ? column - 1 : 0; index < text.length; index++) {
      const char = text[index] ?? "";
      if (quote !== "") {
        if (char === "\\" && quote === '"') index++;
        else if (char === quote) quote = "";
      } else if (char === "#" && (index === 0 || /\s/.test(text[index - 1] ?? ""))) break;
      else if ((char === '"' || char === "'") && /[\s[{,:]/.test(text[index - 1] ?? " "))
        quote = char;
      else if (char === "[" || char === "{") depth++;
      else if ((char === "]" || char === "}") && --depth === 0) return last;
      if (
        !/\s/.test(char) &&
        (depth > 1 || !(depth === 1 && row === line - 1 && index === column - 1))
      )
        last = { row, index: index + 1, empty: false };
    }
  }
  return undefined;
}
