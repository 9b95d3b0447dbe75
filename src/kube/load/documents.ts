import {
  constructFromEvents,
  CORE_SCHEMA,
  EVENT_ID,
  type Event,
  mergeTag,
  parseEvents,
  YAMLException,
} from "js-yaml";
import { UserError } from "../../base/errors.js";
import type { SourceText } from "./source-text.js";

/** What one file may hold before it is refused. Each limit is named when it is hit. */
export const LIMITS = {
  /** Characters in one file. */
  fileSize: 419_430_400,
  /** YAML documents in one file. */
  documents: 200_000,
  /** Levels of nesting. */
  depth: 100,
  /** Uses of `*alias` in one file. */
  aliases: 1_000,
  /** Values after every alias is written out. */
  expanded: 2_000_000,
} as const;

const schema = CORE_SCHEMA.withTags(mergeTag);

/**
 * Reads the documents of a YAML or JSON text; an empty document is null, as kubectl skips it. Throws a UserError
 * with the place for text that is neither, and for one that is beyond a limit.
 */
export function parseDocuments(source: SourceText): readonly unknown[] {
  if (source.text.length > LIMITS.fileSize) {
    throw limit(
      source,
      "LIMIT_FILE_SIZE",
      `the file has ${source.text.length} characters, more than ${LIMITS.fileSize}`,
    );
  }
  return parseJson(source) ?? parseYaml(source);
}

/** JSON takes the fast way; undefined for what is not JSON. */
function parseJson(source: SourceText): readonly unknown[] | undefined {
  if (!/^\s*[[{]/.test(source.text.slice(0, 1_000))) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(source.text);
  } catch {
    return undefined;
  }
  if (jsonDepth(source.text) > LIMITS.depth) throw tooDeep(source);
  return [value];
}

/** The deepest nesting of a text that is known to be JSON. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      do {
        at++;
        if (text.charCodeAt(at) === 0x5c) at += 2;
      } while (at < text.length && text.charCodeAt(at) !== 0x22);
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > deepest) deepest = depth;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return deepest;
}

function parseYaml(source: SourceText): readonly unknown[] {
  try {
    const events = parseEvents(source.text, { maxDepth: LIMITS.depth });
    const aliases = checkCounts(source, events);
    const values = constructFromEvents(events, { source: source.text, schema });
    if (aliases > 0) checkExpansion(source, values);
    return values;
  } catch (error) {
    throw error instanceof YAMLException ? yamlError(source, error) : error;
  }
}

/** How many aliases the text uses. */
function checkCounts(source: SourceText, events: readonly Event[]): number {
  let documents = 0;
  let aliases = 0;
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) documents++;
    if (event.type === EVENT_ID.ALIAS) aliases++;
  }
  if (documents > LIMITS.documents) {
    throw limit(
      source,
      "LIMIT_DOCUMENTS",
      `the file has ${documents} documents, more than ${LIMITS.documents}`,
    );
  }
  if (aliases > LIMITS.aliases) {
    throw limit(
      source,
      "LIMIT_ALIASES",
      `the file uses ${aliases} aliases, more than ${LIMITS.aliases}`,
    );
  }
  return aliases;
}

/** Refuses aliases that multiply without bound, and those that contain themselves. */
function checkExpansion(source: SourceText, values: readonly unknown[]): void {
  const sizes = new Map<object, number>();
  const measure = (value: unknown): number => {
    if (typeof value !== "object" || value === null) return 1;
    const known = sizes.get(value);
    if (known === Number.POSITIVE_INFINITY) {
      throw limit(
        source,
        "ALIAS_CYCLE",
        "an alias stands inside the value that it names, so the value has no end",
      );
    }
    if (known !== undefined) return known;
    sizes.set(value, Number.POSITIVE_INFINITY);
    let size = 1;
    for (const part of Object.values(value)) size += measure(part);
    sizes.set(value, size);
    return size;
  };
  let total = 0;
  for (const value of values) total += measure(value);
  if (total > LIMITS.expanded) {
    throw limit(
      source,
      "LIMIT_ALIASES",
      `aliases make the file ${total} values long, more than ${LIMITS.expanded}`,
    );
  }
}

function yamlError(source: SourceText, error: YAMLException): UserError {
  const offset = Math.min(error.mark?.position ?? 0, source.text.length);
  if (/depth/i.test(error.reason)) return tooDeep(source, offset);
  const details = source.detailsOf({ start: offset, length: 1 });
  return new UserError("YAML_SYNTAX", `YAML: ${error.reason}`, {
    ...details,
    help: yamlHelp(error.reason, details.sourceLine ?? ""),
  });
}

function yamlHelp(reason: string, line: string): string | undefined {
  if (/^\s*\t/.test(line)) return "YAML is indented with spaces, never with tabs";
  if (/indentation/.test(reason)) return "the line is indented differently from its neighbours";
  if (/duplicated/.test(reason)) return "each key may stand once in a mapping";
  if (/unexpected end/.test(reason)) return "a bracket or quote that was opened is never closed";
  return undefined;
}

function tooDeep(source: SourceText, offset = 0): UserError {
  const details = source.detailsOf({ start: offset, length: 1 });
  return new UserError(
    "LIMIT_DEPTH",
    `values are nested more than ${LIMITS.depth} levels deep`,
    details,
  );
}

function limit(source: SourceText, code: string, message: string): UserError {
  return new UserError(code, message, { place: { file: source.file, line: 1, column: 1 } });
}
