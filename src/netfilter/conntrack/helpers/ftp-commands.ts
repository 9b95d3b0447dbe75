import { type IpAddress, ipv4, parseIpv6 } from "../../../wire/ip.js";

/** Where an FTP end says that it listens. */
export interface FtpAnnouncement {
  readonly kind: FtpKind;
  /** The address it names; undefined where the protocol has none, and for one that the connection cannot have. */
  readonly address: IpAddress | "other" | undefined;
  readonly port: number;
  /** Where the numbers stand in the data. */
  readonly at: number;
  readonly length: number;
}

export type FtpKind = "PORT" | "EPRT" | "PASV" | "EPSV";

/** `partial`: a command that is not all there, or makes no sense. `name` is as the kernel's log has it. */
export type FtpReading =
  | { readonly kind: "nothing" }
  | { readonly kind: "partial"; readonly name: string }
  | { readonly kind: "announces"; readonly announcement: FtpAnnouncement };

/** Numbers that were read; `length` counts from where reading began, `at` is how far in they start. */
interface Numbers {
  readonly address: IpAddress | "other" | undefined;
  readonly port: number;
  readonly length: number;
  readonly skipped: number;
}

interface Pattern {
  readonly kind: FtpKind;
  readonly text: string;
  /** The character after which the numbers begin; undefined when they follow at once. */
  readonly skip: string | undefined;
  read(data: string, isIpv6: boolean): Numbers | undefined;
}

const COMMANDS: readonly Pattern[] = [
  { kind: "PORT", text: "PORT", skip: " ", read: (data, isIpv6) => readSix(data, "\r", isIpv6) },
  { kind: "EPRT", text: "EPRT", skip: " ", read: readEprt },
];

const ANSWERS: readonly Pattern[] = [
  { kind: "PASV", text: "227 ", skip: undefined, read: readAnySix },
  { kind: "EPSV", text: "229 ", skip: "(", read: readEpsv },
];

/**
 * Reads a segment that begins a line: `PORT` and `EPRT` of the client, the answers 227 and 229 of the server. `data` has one
 * character for each byte. Mirrors net/netfilter/nf_conntrack_ftp.c:find_pattern().
 */
export function readFtp(data: string, from: "client" | "server", isIpv6: boolean): FtpReading {
  for (const pattern of from === "client" ? COMMANDS : ANSWERS) {
    const reading = tryPattern(pattern, data, isIpv6);
    if (reading.kind !== "nothing") return reading;
  }
  return NOTHING;
}

const NOTHING: FtpReading = { kind: "nothing" };

function tryPattern(pattern: Pattern, data: string, isIpv6: boolean): FtpReading {
  const { text, skip, kind } = pattern;
  const partial: FtpReading = { kind: "partial", name: text };
  const isSame = data.slice(0, text.length).toLowerCase() === text.toLowerCase();
  if (data.length <= text.length)
    return text.slice(0, data.length).toLowerCase() === data.toLowerCase() ? partial : NOTHING;
  if (!isSame) return NOTHING;
  const start = skip === undefined ? text.length : data.indexOf(skip, text.length) + 1;
  if (start === 0 || start === data.length) return partial;
  const numbers = pattern.read(data.slice(start), isIpv6);
  if (numbers === undefined) return partial;
  const { address, port, length, skipped } = numbers;
  return {
    kind: "announces",
    announcement: { kind, address, port, at: start + skipped, length },
  };
}

/** `10,0,1,2,156,84` up to `end`, or to anything when there is none. Mirrors try_rfc959(). */
function readSix(data: string, end: string | undefined, isIpv6: boolean): Numbers | undefined {
  const read = readNumbers(data, 6, ",", end);
  if (read === undefined) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, high = 0, low = 0] = read.numbers;
  return {
    // What an IPv6 connection would make of it is no address of its own.
    address: isIpv6 ? "other" : ipv4(((a << 24) | (b << 16) | (c << 8) | d) >>> 0),
    port: ((high << 8) | low) & 0xffff,
    length: read.length,
    skipped: 0,
  };
}

/** Six numbers from the first digit on: answers 227 need not have parentheses. Mirrors try_rfc1123(). RFC 1123 §4.1.2.6. */
function readAnySix(data: string, isIpv6: boolean): Numbers | undefined {
  const skipped = data.search(/\d/);
  if (skipped < 0) return undefined;
  const read = readSix(data.slice(skipped), undefined, isIpv6);
  return read === undefined ? undefined : { ...read, skipped };
}

/** `|1|10.0.1.2|40020|`. Mirrors try_eprt(). RFC 2428 §2. */
function readEprt(data: string, isIpv6: boolean): Numbers | undefined {
  const delimiter = delimiterOf(data);
  if (delimiter === undefined || data[2] !== delimiter || data[1] !== (isIpv6 ? "2" : "1"))
    return undefined;
  const rest = data.slice(3);
  const host = isIpv6 ? readIpv6(rest, delimiter) : readDotted(rest, delimiter);
  if (host === undefined) return undefined;
  const port = readPort(data, 3 + host.length + 1, delimiter);
  return port === undefined
    ? undefined
    : { address: host.address, port: port.port, length: port.end, skipped: 0 };
}

/** `|||40020|`. Mirrors try_epsv_response(). RFC 2428 §3. */
function readEpsv(data: string): Numbers | undefined {
  const delimiter = delimiterOf(data);
  if (delimiter === undefined || data[1] !== delimiter || data[2] !== delimiter) return undefined;
  const port = readPort(data, 3, delimiter);
  return port === undefined
    ? undefined
    : { address: undefined, port: port.port, length: port.end, skipped: 0 };
}

/** Any printable character that is no digit. */
function delimiterOf(data: string): string | undefined {
  const first = data[0] ?? "";
  return data.length > 3 && /^[!-/:-~]$/.test(first) ? first : undefined;
}

interface Host {
  readonly address: IpAddress;
  readonly length: number;
}

function readDotted(data: string, end: string): Host | undefined {
  const read = readNumbers(data, 4, ".", end);
  if (read === undefined) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = read.numbers;
  return { address: ipv4(((a << 24) | (b << 16) | (c << 8) | d) >>> 0), length: read.length };
}

function readIpv6(data: string, end: string): Host | undefined {
  const length = data.indexOf(end);
  const address = length < 0 ? undefined : parseIpv6(data.slice(0, length));
  return address === undefined ? undefined : { address, length };
}

/** Exactly `count` numbers of 32 bits each. Mirrors try_number(). */
function readNumbers(
  data: string,
  count: number,
  separator: string,
  end: string | undefined,
): { readonly numbers: readonly number[]; readonly length: number } | undefined {
  const numbers = [0];
  for (let at = 0; at < data.length && numbers.length <= count; at++) {
    const letter = data[at] ?? "";
    const last = numbers.length - 1;
    if (/^\d$/.test(letter))
      numbers[last] = (Math.imul(numbers[last] ?? 0, 10) + Number(letter)) >>> 0;
    else if (letter === separator) numbers.push(0);
    else
      return (end === undefined || letter === end) && numbers.length === count
        ? { numbers, length: at }
        : undefined;
  }
  return undefined;
}

/** A port that is not 0, in 16 bits, up to the delimiter; `end` is behind that. Mirrors get_port(). */
function readPort(
  data: string,
  start: number,
  delimiter: string,
): { readonly port: number; readonly end: number } | undefined {
  let port = 0;
  for (let at = start; at < data.length; at++) {
    const letter = data[at] ?? "";
    if (letter === delimiter) return port === 0 ? undefined : { port, end: at + 1 };
    if (!/^\d$/.test(letter)) return undefined;
    port = (port * 10 + Number(letter)) & 0xffff;
  }
  return undefined;
}
