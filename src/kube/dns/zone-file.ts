import type { DnsRecord } from "../../wire/dns-message.js";
import {
  isRrType,
  parseRdata,
  parseTtl,
  rrClassNumber,
  type RdataWord,
} from "../../wire/dns-rdata.js";
import { resolvePath, type Files } from "./files.js";
import { fqdn, isDomainName, isFqdn, plainEscapes } from "./names.js";

/** What reading a zone file gives: its records, or the first mistake and its line. */
export type ZoneText =
  | { readonly records: readonly DnsRecord[] }
  | { readonly error: string; readonly line: number };

const maxRecords = 200_000;
const maxIncludes = 7;

/**
 * Reads a master file: RFC 1035 §5 with $ORIGIN, $TTL, $INCLUDE and $GENERATE. A record without a TTL takes the last one
 * that was given, none before the first. Mirrors miekg/dns scan.go.
 */
export function parseZone(text: string, origin: string, file: string, files: Files): ZoneText {
  const reader = new ZoneReader(files);
  const error = reader.read(text, fqdn(origin), file, 0);
  return error ?? { records: reader.records };
}

/** Reads one record as a zone file line; a missing TTL is 3600 and a missing class IN. Undefined when it is none. */
export function parseRecord(text: string): DnsRecord | undefined {
  const reader = new ZoneReader(new Map());
  reader.ttl = 3600;
  return reader.read(text, ".", "", 0) === undefined ? reader.records[0] : undefined;
}

interface Line {
  readonly words: readonly RdataWord[];
  readonly indented: boolean;
  readonly number: number;
}

type Mistake = { readonly error: string; readonly line: number };

class ZoneReader {
  readonly records: DnsRecord[] = [];
  ttl: number | undefined;
  #byDirective = false;
  #owner = "";
  #class = "IN";
  readonly #files: Files;

  constructor(files: Files) {
    this.#files = files;
  }

  read(text: string, start: string, file: string, depth: number): Mistake | undefined {
    let origin = start;
    for (const line of logicalLines(text)) {
      const [first, second] = line.words;
      const wrong = (error: string): Mistake => ({ error, line: line.number });
      if (this.records.length > maxRecords) return wrong(`more than ${maxRecords} records`);
      switch (first?.text.toUpperCase()) {
        case "$ORIGIN": {
          const next = second === undefined ? undefined : absoluteName(second.text, origin);
          if (next === undefined) return wrong("expecting $ORIGIN value, not this...");
          origin = next;
          break;
        }
        case "$TTL": {
          const ttl = parseTtl(second?.text ?? "");
          if (ttl === undefined) return wrong("expecting $TTL value, not this...");
          this.ttl = ttl;
          this.#byDirective = true;
          break;
        }
        case "$INCLUDE": {
          const mistake = this.#include(line, origin, file, depth);
          if (mistake !== undefined) return wrong(mistake);
          break;
        }
        case "$GENERATE": {
          const mistake = this.#generate(line, origin);
          if (mistake !== undefined) return wrong(mistake);
          break;
        }
        default: {
          const mistake = this.#record(line, origin);
          if (mistake !== undefined) return wrong(mistake);
        }
      }
    }
    return undefined;
  }

  #record(line: Line, origin: string): string | undefined {
    const words = [...line.words];
    if (!line.indented) {
      const owner = absoluteName(words.shift()?.text ?? "", origin);
      if (owner === undefined) return "bad owner name";
      this.#owner = owner;
    }
    const head = this.#head(words);
    if (typeof head === "string") return head;
    if (this.#owner === "") return "no owner name";
    const data = parseRdata(head.type, words, (name) => absoluteName(name, origin));
    if (data === undefined) return `bad ${head.type} data`;
    this.records.push({
      name: this.#owner,
      type: head.type,
      class: this.#class,
      ttl: head.ttl,
      data,
    });
    return undefined;
  }

  /** Takes the TTL, the class and the type off the words. */
  #head(words: RdataWord[]): { readonly type: string; readonly ttl: number } | string {
    let ttl = this.ttl ?? 0;
    let seenTtl = false;
    let seenClass = false;
    for (let word = words.shift(); word !== undefined; word = words.shift()) {
      const upper = word.text.toUpperCase();
      const given = seenTtl ? undefined : parseTtl(word.text);
      if (given !== undefined) {
        ttl = given;
        seenTtl = true;
        if (!this.#byDirective) this.ttl = given;
      } else if (!seenClass && rrClassNumber(upper) !== undefined && upper !== "ANY") {
        this.#class = upper;
        seenClass = true;
      } else if (isRrType(upper)) {
        if (!seenTtl && !seenClass && this.ttl === undefined)
          return "missing TTL with no previous value";
        if (!seenClass) this.#class = "IN";
        return { type: upper, ttl };
      } else {
        return `expecting RR type or TTL, not this...: ${word.text}`;
      }
    }
    return "no type";
  }

  #include(line: Line, origin: string, file: string, depth: number): string | undefined {
    const path = resolvePath(file, line.words[1]?.text ?? "");
    const text = this.#files.get(path);
    if (depth >= maxIncludes) return "too deeply nested $INCLUDE";
    if (text === undefined) return `failed to open \`${path}\``;
    const inner =
      line.words[2] === undefined ? origin : (absoluteName(line.words[2].text, origin) ?? origin);
    return this.read(text, inner, path, depth + 1)?.error;
  }

  /** `$GENERATE 1-10[/2] owner-$ [ttl] type data-${offset,width,base}`. */
  #generate(line: Line, origin: string): string | undefined {
    const range = /^(\d+)-(\d+)(?:\/(\d+))?$/.exec(line.words[1]?.text ?? "");
    if (range === null) return "bad range in $GENERATE";
    const [from, to, step] = [Number(range[1]), Number(range[2]), Number(range[3] ?? 1)];
    if (step < 1 || to < from || to > 65_535) return "bad range in $GENERATE";
    for (let value = from; value <= to; value += step) {
      const words = line.words
        .slice(2)
        .map((word) => ({ ...word, text: generated(word.text, value) }));
      const mistake = this.#record({ words, indented: false, number: line.number }, origin);
      if (mistake !== undefined) return mistake;
    }
    return undefined;
  }
}

function generated(text: string, value: number): string {
  return text.replaceAll(
    /\\\$|\$\{(-?\d+)(?:,(\d+))?(?:,([dxXo]))?\}|\$/g,
    (match, offset, width, base) => {
      if (match === "\\$") return "$";
      const number = value + Number(offset ?? 0);
      const digits =
        base === "o"
          ? number.toString(8)
          : base === "x" || base === "X"
            ? number.toString(16)
            : String(number);
      return (base === "X" ? digits.toUpperCase() : digits).padStart(
        Math.min(Number(width ?? 0), 255),
        "0",
      );
    },
  );
}

function absoluteName(text: string, origin: string): string | undefined {
  const name =
    text === "@" ? origin : isFqdn(text) ? text : origin === "." ? `${text}.` : `${text}.${origin}`;
  return isDomainName(name) ? plainEscapes(name) : undefined;
}

/** Lines with comments taken off and parentheses joined. */
function* logicalLines(text: string): Generator<Line> {
  let words: RdataWord[] = [];
  let depth = 0;
  let indented = false;
  let start = 1;
  let number = 0;
  for (const raw of text.replaceAll("\r", "").split("\n")) {
    number++;
    if (depth === 0) {
      words = [];
      indented = /^[ \t]/.test(raw);
      start = number;
    }
    for (const part of raw.matchAll(
      /;.*|[()]|"((?:[^"\\]|\\.)*)"?|(?:[^\s;()"\\]|\\.|(?<=[^\s;()])"(?:[^"\\]|\\.)*")+/gs,
    )) {
      const [token, quoted] = part;
      if (token.startsWith(";")) break;
      if (token === "(") depth++;
      else if (token === ")") depth = Math.max(0, depth - 1);
      else
        words.push(
          quoted === undefined ? { text: token, quoted: false } : { text: quoted, quoted: true },
        );
    }
    if (depth === 0 && words.length > 0) yield { words, indented, number: start };
  }
  if (depth > 0 && words.length > 0) yield { words, indented, number: start };
}
