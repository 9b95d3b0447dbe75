import { formatIpv4, formatIpv6, parseIpv4, parseIpv6, ipv4, type Ipv6 } from "./ip.js";
import { formatHex, get16, get32, get8, parseHex } from "./bytes.js";

/** One part of a record's data. `cname` is a name that may be compressed on the wire, `name` one that may not. */
type Field =
  | "u8"
  | "u16"
  | "u32"
  | "ttl"
  | "a"
  | "aaaa"
  | "cname"
  | "name"
  | "string"
  | "strings"
  | "rest-string"
  | "word"
  | "type"
  | "types"
  | "date"
  | "base64"
  | "hex"
  | "params";

/** The numbers of the record types. */
export const RR_TYPES: ReadonlyMap<string, number> = new Map([
  ["A", 1],
  ["NS", 2],
  ["CNAME", 5],
  ["SOA", 6],
  ["PTR", 12],
  ["HINFO", 13],
  ["MX", 15],
  ["TXT", 16],
  ["RP", 17],
  ["AFSDB", 18],
  ["SIG", 24],
  ["KEY", 25],
  ["AAAA", 28],
  ["LOC", 29],
  ["SRV", 33],
  ["NAPTR", 35],
  ["CERT", 37],
  ["DNAME", 39],
  ["OPT", 41],
  ["DS", 43],
  ["SSHFP", 44],
  ["RRSIG", 46],
  ["NSEC", 47],
  ["DNSKEY", 48],
  ["DHCID", 49],
  ["NSEC3", 50],
  ["NSEC3PARAM", 51],
  ["TLSA", 52],
  ["SMIMEA", 53],
  ["CDS", 59],
  ["CDNSKEY", 60],
  ["OPENPGPKEY", 61],
  ["CSYNC", 62],
  ["ZONEMD", 63],
  ["SVCB", 64],
  ["HTTPS", 65],
  ["SPF", 99],
  ["TKEY", 249],
  ["TSIG", 250],
  ["IXFR", 251],
  ["AXFR", 252],
  ["MAILB", 253],
  ["MAILA", 254],
  ["ANY", 255],
  ["URI", 256],
  ["CAA", 257],
]);

export const RR_CLASSES: ReadonlyMap<string, number> = new Map([
  ["IN", 1],
  ["CS", 2],
  ["CH", 3],
  ["HS", 4],
  ["NONE", 254],
  ["ANY", 255],
]);

/** What a type's data is made of, in order. Types not here are opaque: `\# LENGTH HEX`. */
const layouts: ReadonlyMap<string, readonly Field[]> = new Map<string, readonly Field[]>([
  ["A", ["a"]],
  ["AAAA", ["aaaa"]],
  ["NS", ["cname"]],
  ["CNAME", ["cname"]],
  ["PTR", ["cname"]],
  ["DNAME", ["name"]],
  ["SOA", ["cname", "cname", "u32", "ttl", "ttl", "ttl", "ttl"]],
  ["MX", ["u16", "cname"]],
  ["AFSDB", ["u16", "name"]],
  ["RP", ["name", "name"]],
  ["SRV", ["u16", "u16", "u16", "name"]],
  ["NAPTR", ["u16", "u16", "string", "string", "string", "name"]],
  ["TXT", ["strings"]],
  ["SPF", ["strings"]],
  ["HINFO", ["string", "string"]],
  ["CAA", ["u8", "word", "rest-string"]],
  ["URI", ["u16", "u16", "rest-string"]],
  ["DS", ["u16", "u8", "u8", "hex"]],
  ["CDS", ["u16", "u8", "u8", "hex"]],
  ["TLSA", ["u8", "u8", "u8", "hex"]],
  ["SSHFP", ["u8", "u8", "hex"]],
  ["DNSKEY", ["u16", "u8", "u8", "base64"]],
  ["CDNSKEY", ["u16", "u8", "u8", "base64"]],
  ["RRSIG", ["type", "u8", "u8", "u32", "date", "date", "u16", "name", "base64"]],
  ["NSEC", ["name", "types"]],
  ["SVCB", ["u16", "name", "params"]],
  ["HTTPS", ["u16", "name", "params"]],
]);

/** True for names the registry knows and for `TYPE123`. */
export function isRrType(text: string): boolean {
  return rrTypeNumber(text) !== undefined;
}

export function rrTypeNumber(text: string): number | undefined {
  return RR_TYPES.get(text) ?? generic(text, "TYPE");
}

export function rrTypeName(code: number): string {
  return nameOf(RR_TYPES, code) ?? `TYPE${code}`;
}

export function rrClassNumber(text: string): number | undefined {
  return RR_CLASSES.get(text) ?? generic(text, "CLASS");
}

export function rrClassName(code: number): string {
  return nameOf(RR_CLASSES, code) ?? `CLASS${code}`;
}

/** A word of presentation text; quoted words may hold spaces. */
export interface RdataWord {
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * Reads the data of a record as a zone file writes it into the one form we keep. `absolute` completes a name or says
 * undefined when it is none. Undefined when the words are not data of this type.
 */
export function parseRdata(
  type: string,
  words: readonly RdataWord[],
  absolute: (name: string) => string | undefined,
): string | undefined {
  if (words[0]?.text === "\\#") return parseOpaque(type, words);
  const layout = layouts.get(type);
  if (layout === undefined) return undefined;
  const parts: string[] = [];
  let at = 0;
  for (const field of layout) {
    const list = takesAll(field) ? words.slice(at) : words.slice(at, at + 1);
    if (list.length === 0 && field !== "types" && field !== "params") return undefined;
    const part = parseField(field, list, absolute);
    if (part === undefined) return undefined;
    if (part !== "") parts.push(part);
    at += list.length;
  }
  return at === words.length ? parts.join(" ") : undefined;
}

/** The words of data in the form we keep. */
export function rdataWords(data: string): RdataWord[] {
  const words: RdataWord[] = [];
  for (const match of data.matchAll(
    /"((?:[^"\\]|\\.)*)"|(?:\\.|[^\s"])+(?:"(?:[^"\\]|\\.)*")?/gs,
  )) {
    const quoted = match[0].startsWith('"');
    words.push({ text: quoted ? (match[1] ?? "") : match[0], quoted });
  }
  return words;
}

/** The positions, among the words of the data, that hold domain names. */
export function namePositions(type: string): number[] {
  const layout = layouts.get(type) ?? [];
  return layout.flatMap((field, index) => (field === "name" || field === "cname" ? [index] : []));
}

/** Where encoded data goes. `name` may compress when told so. */
export interface RdataSink {
  bytes(values: ArrayLike<number>): void;
  name(text: string, compressible: boolean): void;
}

/** Writes data in the form we keep. False when it is not data of this type. */
export function encodeRdata(type: string, data: string, sink: RdataSink): boolean {
  const words = rdataWords(data);
  const layout = layouts.get(type);
  if (words[0]?.text === "\\#" || layout === undefined) {
    const bytes = parseHex(
      words
        .slice(2)
        .map((word) => word.text)
        .join(""),
    );
    if (words[0]?.text !== "\\#" || bytes === undefined) return false;
    sink.bytes(bytes);
    return true;
  }
  let at = 0;
  for (const field of layout) {
    const list = takesAll(field) ? words.slice(at) : words.slice(at, at + 1);
    at += list.length;
    if (!encodeField(field, list, sink)) return false;
  }
  return true;
}

/** Encoded data in its message: names may point anywhere before. */
export interface RdataSource {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** The name at an offset and the offset after it; undefined when there is none. */
  name(at: number): { readonly name: string; readonly next: number } | undefined;
}

/** Reads data into the form we keep; undefined when the bytes are not data of this type. */
export function decodeRdata(type: string, source: RdataSource): string | undefined {
  const layout = layouts.get(type);
  if (layout === undefined) {
    const bytes = source.bytes.subarray(source.at, source.end);
    return `\\# ${bytes.length}${bytes.length === 0 ? "" : ` ${formatHex(bytes).toUpperCase()}`}`;
  }
  const parts: string[] = [];
  let at = source.at;
  for (const field of layout) {
    const part = decodeField(field, source, at);
    if (part === undefined || part.next > source.end) return undefined;
    if (part.text !== "") parts.push(part.text);
    at = part.next;
  }
  return at === source.end ? parts.join(" ") : undefined;
}

function generic(text: string, prefix: string): number | undefined {
  const match = new RegExp(`^${prefix}(\\d{1,5})$`).exec(text);
  const code = Number(match?.[1] ?? Number.NaN);
  return code <= 0xffff ? code : undefined;
}

function nameOf(table: ReadonlyMap<string, number>, code: number): string | undefined {
  for (const [name, value] of table) if (value === code) return name;
  return undefined;
}

function takesAll(field: Field): boolean {
  return (
    field === "strings" ||
    field === "types" ||
    field === "base64" ||
    field === "hex" ||
    field === "params"
  );
}

function parseOpaque(type: string, words: readonly RdataWord[]): string | undefined {
  const bytes = parseHex(
    words
      .slice(2)
      .map((word) => word.text)
      .join(""),
  );
  if (bytes === undefined || String(bytes.length) !== words[1]?.text) return undefined;
  const source: RdataSource = { bytes, at: 0, end: bytes.length, name: () => undefined };
  return decodeRdata(type, source);
}

const maxima = { u8: 0xff, u16: 0xffff, u32: 0xffff_ffff };

function parseField(
  field: Field,
  words: readonly RdataWord[],
  absolute: (name: string) => string | undefined,
): string | undefined {
  const text = words[0]?.text ?? "";
  switch (field) {
    case "u8":
    case "u16":
    case "u32":
      return /^\d{1,10}$/.test(text) && Number(text) <= maxima[field]
        ? String(Number(text))
        : undefined;
    case "ttl":
      return parseTtl(text)?.toString();
    case "a": {
      const address = parseIpv4(text);
      return address === undefined ? undefined : formatIpv4(address);
    }
    case "aaaa": {
      const address = parseIpv6(text);
      return address === undefined ? undefined : formatIpv6(address);
    }
    case "cname":
    case "name":
      return absolute(text);
    case "string":
    case "strings":
    case "rest-string":
      return words.map((word) => quoteString(word.text)).join(" ");
    case "word":
      return text;
    case "type":
      return isRrType(text) ? text : undefined;
    case "types":
      return words.every((word) => isRrType(word.text))
        ? words.map((word) => word.text).join(" ")
        : undefined;
    case "date":
      return /^\d{14}$/.test(text)
        ? text
        : /^\d{1,10}$/.test(text)
          ? formatDnsDate(Number(text))
          : undefined;
    case "base64": {
      const joined = words.map((word) => word.text).join("");
      return decodeBase64(joined) === undefined ? undefined : joined;
    }
    case "hex": {
      const bytes = parseHex(words.map((word) => word.text).join(""));
      return bytes === undefined ? undefined : formatHex(bytes).toUpperCase();
    }
    case "params":
      return parseParams(words);
  }
}

/** `1h30m` or a number of seconds. */
export function parseTtl(text: string): number | undefined {
  if (!/^(\d+[smhdw]?)+$/i.test(text) || text.length > 20) return undefined;
  const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)([smhdw]?)/gi)) {
    sum += Number(number) * (units[unit?.toLowerCase() ?? ""] ?? 1);
  }
  return sum > 0xffff_ffff ? undefined : sum;
}

/** A character string with its quotes; the text may already hold escapes. */
function quoteString(text: string): string {
  return `"${text.replaceAll(/\\.|"/gs, (part) => (part === '"' ? '\\"' : part))}"`;
}

function encodeField(field: Field, words: readonly RdataWord[], sink: RdataSink): boolean {
  const text = words[0]?.text ?? "";
  switch (field) {
    case "u8":
      sink.bytes([Number(text)]);
      return true;
    case "u16":
      sink.bytes(be16(Number(text)));
      return true;
    case "u32":
    case "ttl":
      sink.bytes(be32(Number(text)));
      return true;
    case "a": {
      const address = parseIpv4(text);
      if (address !== undefined) sink.bytes(be32(address));
      return address !== undefined;
    }
    case "aaaa": {
      const address = parseIpv6(text);
      if (address !== undefined) sink.bytes(parseHex(address.toString(16).padStart(32, "0")) ?? []);
      return address !== undefined;
    }
    case "cname":
    case "name":
      sink.name(text, field === "cname");
      return true;
    case "string":
    case "strings":
      return words.every((word) => encodeString(unescapeText(word.text), sink));
    case "rest-string":
      sink.bytes(unescapeText(text));
      return true;
    case "word":
      return encodeString(unescapeText(text), sink);
    case "type":
      sink.bytes(be16(rrTypeNumber(text) ?? 0));
      return true;
    case "types":
      sink.bytes(encodeTypes(words.map((word) => rrTypeNumber(word.text) ?? 0)));
      return true;
    case "date":
      sink.bytes(be32(parseDate(text)));
      return true;
    case "base64":
      sink.bytes(decodeBase64(words.map((word) => word.text).join("")) ?? []);
      return true;
    case "hex":
      sink.bytes(parseHex(words.map((word) => word.text).join("")) ?? []);
      return true;
    case "params":
      return encodeParams(words, sink);
  }
}

type Part = { readonly text: string; readonly next: number } | undefined;

function decodeField(field: Field, source: RdataSource, at: number): Part {
  const { bytes, end } = source;
  const rest = bytes.subarray(at, end);
  switch (field) {
    case "u8":
      return { text: String(get8(bytes, at)), next: at + 1 };
    case "u16":
      return { text: String(get16(bytes, at)), next: at + 2 };
    case "u32":
    case "ttl":
      return { text: String(get32(bytes, at)), next: at + 4 };
    case "a":
      return { text: formatIpv4(ipv4(get32(bytes, at))), next: at + 4 };
    case "aaaa":
      if (at + 16 > end) return undefined;
      return {
        text: formatIpv6(BigInt(`0x${formatHex(bytes.subarray(at, at + 16))}`) as Ipv6),
        next: at + 16,
      };
    case "cname":
    case "name": {
      const name = source.name(at);
      return name === undefined ? undefined : { text: name.name, next: name.next };
    }
    case "string":
      return decodeString(bytes, at, end);
    case "strings":
      return decodeStrings(bytes, at, end);
    case "rest-string":
      return { text: `"${escapeText(rest)}"`, next: end };
    case "word": {
      const part = decodeString(bytes, at, end);
      return part !== undefined && /^"[A-Za-z0-9]+"$/.test(part.text)
        ? { text: part.text.slice(1, -1), next: part.next }
        : undefined;
    }
    case "type":
      return { text: rrTypeName(get16(bytes, at)), next: at + 2 };
    case "types":
      return { text: decodeTypes(rest).map(rrTypeName).join(" "), next: end };
    case "date":
      return { text: formatDnsDate(get32(bytes, at)), next: at + 4 };
    case "base64":
      return { text: encodeBase64(rest), next: end };
    case "hex":
      return { text: formatHex(rest).toUpperCase(), next: end };
    case "params":
      return decodeParams(rest, end);
  }
}

function be16(value: number): number[] {
  return [(value >>> 8) & 255, value & 255];
}

function be32(value: number): number[] {
  return [...be16(value >>> 16), ...be16(value & 0xffff)];
}

function encodeString(bytes: Uint8Array, sink: RdataSink): boolean {
  if (bytes.length > 255) return false;
  sink.bytes([bytes.length]);
  sink.bytes(bytes);
  return true;
}

function decodeString(bytes: Uint8Array, at: number, end: number): Part {
  const next = at + 1 + get8(bytes, at);
  if (at >= end || next > end) return undefined;
  return { text: `"${escapeText(bytes.subarray(at + 1, next))}"`, next };
}

function decodeStrings(bytes: Uint8Array, start: number, end: number): Part {
  const parts: string[] = [];
  let at = start;
  while (at < end) {
    const part = decodeString(bytes, at, end);
    if (part === undefined) return undefined;
    parts.push(part.text);
    at = part.next;
  }
  return { text: parts.join(" "), next: end };
}

/** Bytes of a label or string as text: `\"`, `\\` and `\DDD` where needed. */
export function escapeText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte < 0x20 || byte > 0x7e) text += `\\${String(byte).padStart(3, "0")}`;
    else text += String.fromCharCode(byte);
  }
  return text;
}

/** The bytes that escaped text stands for; characters beyond ASCII are UTF-8. */
export function unescapeText(text: string): Uint8Array {
  return plainBytes(text) ?? unescaped(text);
}

/** ASCII without a backslash, as nearly every label is; undefined for anything else. */
function plainBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c || code >= 0x80) return undefined;
    bytes[at] = code;
  }
  return bytes;
}

function unescaped(text: string): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const escape = text[at] === "\\" ? /^\\(\d{3})/.exec(text.slice(at, at + 4)) : null;
    if (escape !== null) {
      bytes.push(Number(escape[1]) & 255);
      at += 3;
      continue;
    }
    if (text[at] === "\\" && at + 1 < text.length) at++;
    const code = text.codePointAt(at) ?? 0;
    if (code > 0xffff) at++;
    bytes.push(...utf8(code));
  }
  return Uint8Array.from(bytes);
}

function utf8(code: number): number[] {
  if (code < 0x80) return [code];
  if (code < 0x800) return [0xc0 | (code >> 6), 0x80 | (code & 63)];
  if (code < 0x1_0000) return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)];
  return [
    0xf0 | (code >> 18),
    0x80 | ((code >> 12) & 63),
    0x80 | ((code >> 6) & 63),
    0x80 | (code & 63),
  ];
}

/** RFC 4034 §4.1.2: windows of 256 types, a bitmap each. */
function encodeTypes(codes: readonly number[]): number[] {
  const result: number[] = [];
  const windows = [...new Set(codes.map((code) => code >> 8))].toSorted((a, b) => a - b);
  for (const window of windows) {
    const low = codes.filter((code) => code >> 8 === window).map((code) => code & 255);
    const bitmap = Array.from({ length: (Math.max(...low) >> 3) + 1 }, () => 0);
    for (const code of low) bitmap[code >> 3] = (bitmap[code >> 3] ?? 0) | (0x80 >> (code & 7));
    result.push(window, bitmap.length, ...bitmap);
  }
  return result;
}

function decodeTypes(bytes: Uint8Array): number[] {
  const codes: number[] = [];
  for (let at = 0; at + 2 <= bytes.length; at += 2 + get8(bytes, at + 1)) {
    const window = get8(bytes, at) * 256;
    for (let bit = 0; bit < get8(bytes, at + 1) * 8; bit++) {
      if ((get8(bytes, at + 2 + (bit >> 3)) & (0x80 >> (bit & 7))) !== 0) codes.push(window + bit);
    }
  }
  return codes;
}

/** `20160426031301` as seconds since 1970, modulo 2^32. */
function parseDate(text: string): number {
  const part = (from: number, to: number): number => Number(text.slice(from, to));
  const days = daysOf(part(0, 4), part(4, 6), part(6, 8));
  return (days * 86_400 + part(8, 10) * 3600 + part(10, 12) * 60 + part(12, 14)) % 0x1_0000_0000;
}

/** Seconds since 1970 as RRSIG records write times: `20160426031301`. */
export function formatDnsDate(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  let year = 1970 + Math.floor(days / 366);
  while (daysOf(year + 1, 1, 1) <= days) year++;
  let month = 12;
  while (month > 1 && daysOf(year, month, 1) > days) month--;
  const two = (value: number): string => String(value).padStart(2, "0");
  const rest = seconds % 86_400;
  const time = two(Math.floor(rest / 3600)) + two(Math.floor(rest / 60) % 60) + two(rest % 60);
  return `${year}${two(month)}${two(days - daysOf(year, month, 1) + 1)}${time}`;
}

/** Days from 1970-01-01 to a date of the Gregorian calendar. */
function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const m = month <= 2 ? month + 9 : month - 3;
  const leap = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return 365 * y + leap + Math.floor((153 * m + 2) / 5) + day - 1 - 719_468;
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const value = get8(bytes, at) * 0x1_0000 + get8(bytes, at + 1) * 0x100 + get8(bytes, at + 2);
    const have = Math.min(3, bytes.length - at);
    for (let digit = 0; digit < 4; digit++) {
      text += digit <= have ? (base64Digits[(value >> (18 - 6 * digit)) & 63] ?? "") : "=";
    }
  }
  return text;
}

export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const digits = text.replaceAll("=", "");
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let value = 0;
  let bits = 0;
  let at = 0;
  for (const digit of digits) {
    value = ((value << 6) | base64Digits.indexOf(digit)) & 0xff_ffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (value >> bits) & 255;
    }
  }
  return bytes;
}

const paramKeys = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];

function paramNumber(key: string): number | undefined {
  const index = paramKeys.indexOf(key);
  if (index >= 0) return index;
  const code = Number(/^key(\d{1,5})$/.exec(key)?.[1] ?? Number.NaN);
  return code <= 0xffff ? code : undefined;
}

/** RFC 9460 §2.1: `key=value` or `key="value"`, kept sorted by key and quoted. */
function parseParams(words: readonly RdataWord[]): string | undefined {
  const params: { readonly code: number; readonly text: string }[] = [];
  for (const word of words) {
    const match = /^([a-z0-9-]+)(?:="?((?:[^"\\]|\\.)*)"?)?$/s.exec(word.text);
    const code = paramNumber(match?.[1] ?? "");
    if (match === null || code === undefined) return undefined;
    params.push({ code, text: `${match[1]}="${match[2] ?? ""}"` });
  }
  return params
    .toSorted((a, b) => a.code - b.code)
    .map((param) => param.text)
    .join(" ");
}

function encodeParams(words: readonly RdataWord[], sink: RdataSink): boolean {
  for (const word of words) {
    const match = /^([a-z0-9-]+)="((?:[^"\\]|\\.)*)"$/s.exec(word.text);
    const code = paramNumber(match?.[1] ?? "");
    if (code === undefined) return false;
    const value = encodeParam(code, match?.[2] ?? "");
    sink.bytes([...be16(code), ...be16(value.length), ...value]);
  }
  return true;
}

function encodeParam(code: number, text: string): number[] {
  const list = text === "" ? [] : text.split(",");
  if (code === 0) return list.flatMap((key) => be16(paramNumber(key) ?? 0));
  if (code === 1) return list.flatMap((id) => [unescapeText(id).length, ...unescapeText(id)]);
  if (code === 3) return be16(Number(text));
  if (code === 4) return list.flatMap((address) => be32(parseIpv4(address) ?? 0));
  if (code === 5) return [...(decodeBase64(text) ?? [])];
  if (code === 6)
    return list.flatMap((a) => [
      ...(parseHex((parseIpv6(a) ?? 0n).toString(16).padStart(32, "0")) ?? []),
    ]);
  return [...unescapeText(text)];
}

function decodeParams(bytes: Uint8Array, next: number): Part {
  const parts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const code = get16(bytes, at);
    const end = at + 4 + get16(bytes, at + 2);
    if (at + 4 > bytes.length || end > bytes.length) return undefined;
    parts.push(
      `${paramKeys[code] ?? `key${code}`}="${decodeParam(code, bytes.subarray(at + 4, end))}"`,
    );
    at = end;
  }
  return { text: parts.join(" "), next };
}

function decodeParam(code: number, value: Uint8Array): string {
  const groups = (size: number): Uint8Array[] =>
    Array.from({ length: Math.floor(value.length / size) }, (_, at) =>
      value.subarray(at * size, (at + 1) * size),
    );
  if (code === 0)
    return groups(2)
      .map((key) => paramKeys[get16(key, 0)] ?? `key${get16(key, 0)}`)
      .join(",");
  if (code === 1) {
    const ids: string[] = [];
    for (let at = 0; at < value.length; at += 1 + get8(value, at)) {
      ids.push(escapeText(value.subarray(at + 1, at + 1 + get8(value, at))));
    }
    return ids.join(",");
  }
  if (code === 3 && value.length === 2) return String(get16(value, 0));
  if (code === 4)
    return groups(4)
      .map((a) => formatIpv4(ipv4(get32(a, 0))))
      .join(",");
  if (code === 5) return encodeBase64(value);
  if (code === 6)
    return groups(16)
      .map((a) => formatIpv6(BigInt(`0x${formatHex(a)}`) as Ipv6))
      .join(",");
  return escapeText(value);
}
