import { get16, get32, get8 } from "./bytes.js";
import { decoded, refused, type Decoded } from "./decoded.js";
import {
  RCODES,
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
  type Edns,
  type EdnsOption,
} from "./dns-message.js";
import {
  decodeRdata,
  encodeRdata,
  escapeText,
  rrClassName,
  rrClassNumber,
  rrTypeName,
  rrTypeNumber,
  unescapeText,
  type RdataSink,
} from "./dns-rdata.js";

const OPT = 41;

export interface DnsEncoding {
  /** Names that stood before become pointers. RFC 1035 §4.1.4. */
  readonly compress: boolean;
}

/** The bytes of a message. A record whose data or owner is not encodable makes it throw: build messages with `parseRdata`. */
export function encodeDns(
  message: DnsMessage,
  encoding: DnsEncoding = { compress: true },
): Uint8Array {
  const writer = new Writer(encoding.compress);
  const opt = message.edns === undefined ? [] : [message.edns];
  const rcode = rcodeNumber(message.rcode);
  writer.u16(message.id);
  writer.u16(encodeFlags(message, rcode));
  writer.u16(message.questions.length);
  writer.u16(message.answers.length);
  writer.u16(message.authorities.length);
  writer.u16(message.additionals.length + opt.length);
  for (const question of message.questions) writer.question(question);
  for (const section of [message.answers, message.authorities, message.additionals]) {
    for (const record of section) writer.record(record);
  }
  for (const edns of opt) writer.opt(edns, rcode >> 4);
  return writer.result();
}

/** Reads a whole message. Refuses what is cut short, has bytes left over, or points where no name is. */
export function decodeDns(bytes: Uint8Array): Decoded<DnsMessage> {
  if (bytes.length < 12)
    return refused(`a DNS message has at least 12 bytes, this has ${bytes.length}`);
  return new Reader(bytes).message();
}

/** The question of a message that is otherwise unreadable, for the FORMERR reply that quotes it. */
export function decodeDnsQuestion(bytes: Uint8Array): DnsQuestion | undefined {
  return bytes.length < 12 || get16(bytes, 4) !== 1 ? undefined : new Reader(bytes).question();
}

export function rcodeNumber(rcode: string): number {
  return RCODES.get(rcode) ?? Number(/^RCODE(\d+)$/.exec(rcode)?.[1] ?? 2);
}

export function rcodeName(code: number): string {
  for (const [name, value] of RCODES) if (value === code) return name;
  return `RCODE${code}`;
}

function encodeFlags(message: DnsMessage, rcode: number): number {
  const bits = [message.aa, message.tc, message.rd, message.ra, false, message.ad, message.cd];
  let flags = (message.qr ? 0x8000 : 0) | ((message.opcode & 15) << 11) | (rcode & 15);
  for (const [index, set] of bits.entries()) if (set) flags |= 0x0400 >> index;
  return flags;
}

class Writer implements RdataSink {
  readonly #compress: boolean;
  readonly #known = new Map<string, number>();
  #bytes = new Uint8Array(512);
  #length = 0;

  constructor(compress: boolean) {
    this.#compress = compress;
  }

  result(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  bytes(values: ArrayLike<number>): void {
    this.#reserve(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = value >>> 8;
    this.#bytes[this.#length++] = value;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  name(text: string, compressible: boolean): void {
    let rest = text;
    while (rest !== "." && rest !== "") {
      const pointer = this.#compress && compressible ? this.#known.get(rest) : undefined;
      if (pointer !== undefined) return this.u16(0xc000 + pointer);
      if (this.#length < 0x4000 && !this.#known.has(rest)) this.#known.set(rest, this.#length);
      const end = labelEnd(rest);
      const label = unescapeText(rest.slice(0, end));
      if (label.length === 0 || label.length > 63) throw new Error(`not a domain name: ${text}`);
      this.u8(label.length);
      this.bytes(label);
      rest = rest.slice(end + 1);
    }
    this.u8(0);
  }

  question(question: DnsQuestion): void {
    this.name(question.name, true);
    this.u16(rrTypeNumber(question.type) ?? 0);
    this.u16(rrClassNumber(question.class) ?? 0);
  }

  record(record: DnsRecord): void {
    this.name(record.name, true);
    this.u16(rrTypeNumber(record.type) ?? 0);
    this.u16(rrClassNumber(record.class) ?? 0);
    this.u32(record.ttl);
    const at = this.#length;
    this.u16(0);
    if (!encodeRdata(record.type, record.data, this)) {
      throw new Error(`not data of type ${record.type}: ${record.data}`);
    }
    const length = this.#length - at - 2;
    this.#bytes[at] = length >> 8;
    this.#bytes[at + 1] = length & 255;
  }

  opt(edns: Edns, rcodeHigh: number): void {
    this.u8(0);
    this.u16(OPT);
    this.u16(edns.udpSize);
    this.bytes([rcodeHigh, edns.version, edns.do ? 0x80 : 0, 0]);
    this.u16(edns.options.reduce((sum, option) => sum + 4 + option.data.length, 0));
    for (const option of edns.options) {
      this.u16(option.code);
      this.u16(option.data.length);
      this.bytes(option.data);
    }
  }
}

/** Where the first label of a name in presentation form ends. */
function labelEnd(name: string): number {
  for (let at = 0; at < name.length; at++) {
    if (name[at] === "\\") at++;
    else if (name[at] === ".") return at;
  }
  return name.length;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 12;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(): Decoded<DnsMessage> {
    const bytes = this.#bytes;
    const flags = get16(bytes, 2);
    const questions: DnsQuestion[] = [];
    for (let count = get16(bytes, 4); count > 0; count--) {
      const question = this.question();
      if (question === undefined)
        return refused(`question ${questions.length + 1} is cut short or has a bad name`);
      questions.push(question);
    }
    const sections: DnsRecord[][] = [[], [], []];
    let edns: (Edns & { readonly rcodeHigh: number }) | undefined;
    for (const [index, section] of sections.entries()) {
      for (let count = get16(bytes, 6 + 2 * index); count > 0; count--) {
        const record = this.#record();
        if (typeof record === "string") return refused(record);
        if ("options" in record) edns = record;
        else section.push(record);
      }
    }
    if (this.#at !== bytes.length) return refused(`${bytes.length - this.#at} bytes are left over`);
    const [answers = [], authorities = [], additionals = []] = sections;
    const bit = (mask: number): boolean => (flags & mask) !== 0;
    return decoded({
      id: get16(bytes, 0),
      opcode: (flags >> 11) & 15,
      qr: bit(0x8000),
      aa: bit(0x0400),
      tc: bit(0x0200),
      rd: bit(0x0100),
      ra: bit(0x0080),
      ad: bit(0x0020),
      cd: bit(0x0010),
      rcode: rcodeName((flags & 15) + 16 * (edns?.rcodeHigh ?? 0)),
      questions,
      answers,
      authorities,
      additionals,
      edns: edns && {
        udpSize: edns.udpSize,
        version: edns.version,
        do: edns.do,
        options: edns.options,
      },
    });
  }

  question(): DnsQuestion | undefined {
    const name = this.#name(this.#at);
    if (name === undefined || name.next + 4 > this.#bytes.length) return undefined;
    this.#at = name.next + 4;
    return {
      name: name.name,
      type: rrTypeName(get16(this.#bytes, name.next)),
      class: rrClassName(get16(this.#bytes, name.next + 2)),
    };
  }

  #record(): DnsRecord | (Edns & { readonly rcodeHigh: number }) | string {
    const bytes = this.#bytes;
    const name = this.#name(this.#at);
    if (name === undefined || name.next + 10 > bytes.length)
      return "a record is cut short or has a bad name";
    const code = get16(bytes, name.next);
    const at = name.next + 10;
    const end = at + get16(bytes, name.next + 8);
    if (end > bytes.length) return "the data of a record is cut short";
    this.#at = end;
    if (code === OPT) return this.#opt(name.next, at, end);
    const type = rrTypeName(code);
    const source = { bytes, at, end, name: (from: number) => this.#name(from) };
    const data = decodeRdata(type, source);
    if (data === undefined) return `the data of a ${type} record cannot be read`;
    return {
      name: name.name,
      type,
      class: rrClassName(get16(bytes, name.next + 2)),
      ttl: get32(bytes, name.next + 4),
      data,
    };
  }

  #opt(head: number, start: number, end: number): (Edns & { readonly rcodeHigh: number }) | string {
    const bytes = this.#bytes;
    const options: EdnsOption[] = [];
    for (let at = start; at < end;) {
      const length = get16(bytes, at + 2);
      if (at + 4 + length > end) return "an EDNS option is cut short";
      options.push({ code: get16(bytes, at), data: bytes.slice(at + 4, at + 4 + length) });
      at += 4 + length;
    }
    return {
      udpSize: get16(bytes, head + 2),
      rcodeHigh: get8(bytes, head + 4),
      version: get8(bytes, head + 5),
      do: (get8(bytes, head + 6) & 0x80) !== 0,
      options,
    };
  }

  /** The name at an offset. Pointers must go back, so following them ends. */
  #name(start: number): { readonly name: string; readonly next: number } | undefined {
    const bytes = this.#bytes;
    let text = "";
    let octets = 1;
    let next = -1;
    let at = start;
    let lowest = start;
    for (;;) {
      if (at >= bytes.length) return undefined;
      const length = get8(bytes, at);
      if (length === 0) break;
      if (length >= 0xc0) {
        const target = get16(bytes, at) & 0x3fff;
        if (at + 2 > bytes.length || target >= lowest) return undefined;
        if (next < 0) next = at + 2;
        lowest = target;
        at = target;
        continue;
      }
      octets += length + 1;
      if (length > 63 || octets > 255 || at + 1 + length > bytes.length) return undefined;
      text += `${escapeLabel(bytes.subarray(at + 1, at + 1 + length))}.`;
      at += 1 + length;
    }
    return { name: text === "" ? "." : text, next: next < 0 ? at + 1 : next };
  }
}

/** Characters with a meaning of their own in zone files, dots among them, are escaped; a space is `\\032`. RFC 4343 §2.1. */
function escapeLabel(bytes: Uint8Array): string {
  return escapeText(bytes)
    .replaceAll(" ", "\\032")
    .replaceAll(/\\.|[.();@$]/gs, (part) => (part.startsWith("\\") ? part : `\\${part}`));
}
