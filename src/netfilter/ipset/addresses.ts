import { type IpAddress, ipv4, parseIpv6, parseMac, type Mac } from "../../wire/ip.js";
import { syntaxError } from "./failure.js";
import { readNumber } from "./numbers.js";
import type { SetFamily } from "./types.js";

/** What may stand where an address is wanted. */
export interface AddressForms {
  readonly cidr: boolean;
  readonly range: boolean;
}

export interface AddressText {
  readonly address: IpAddress;
  readonly to: IpAddress | undefined;
  readonly cidr: number | undefined;
}

/** `IP`, `IP/LENGTH`, `IP-IP`, as far as the place allows them. Mirrors lib/parse.c:parse_ip(). */
export function readAddresses(text: string, family: SetFamily, forms: AddressForms): AddressText {
  const slash = text.indexOf("/");
  if (slash >= 0 && slash < text.length - 1) {
    if (!forms.cidr) throw syntaxError(`plain IP address must be supplied: ${text}`, text);
    const cidr = readLength(text.slice(slash + 1), 0, family);
    return { address: readAddress(text.slice(0, slash), family), to: undefined, cidr };
  }
  const dash = text.indexOf("-");
  if (dash >= 0 && !forms.range) {
    throw syntaxError(
      forms.cidr
        ? `IP address or IP/cidr must be specified: ${text}`
        : `plain IP address must be supplied: ${text}`,
      text,
    );
  }
  if (dash < 0) return { address: readAddress(text, family), to: undefined, cidr: undefined };
  const address = readAddress(text.slice(0, dash), family);
  return { address, to: readAddress(text.slice(dash + 1), family), cidr: undefined };
}

export function bitsOf(family: SetFamily): number {
  return family === "inet6" ? 128 : 32;
}

/** A length of a prefix. Mirrors lib/parse.c:string_to_cidr(). */
export function readLength(text: string, low: number, family: SetFamily): number {
  const value = readNumber(text, 0n, 255n);
  if (typeof value !== "bigint") throw syntaxError(value, text);
  const high = bitsOf(family);
  if (value < low || value > high)
    throw syntaxError(`'${text}' is out of range ${low}-${high}`, text);
  return Number(value);
}

/** A numeric address; hopwise resolves no names. IPv4 as inet_aton() takes it: fewer parts, octal parts. */
export function readAddress(text: string, family: SetFamily): IpAddress {
  const plain = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  const address = family === "inet6" ? parseIpv6(plain) : aton(plain);
  if (address !== undefined) return address;
  const wanted = family === "inet6" ? "IPv6" : "IPv4";
  throw syntaxError(`cannot parse ${text}: resolving to ${wanted} address failed`, text);
}

function aton(text: string): IpAddress | undefined {
  const parts = text.split(".");
  if (parts.length > 4 || !parts.every((part) => /^(0[0-7]*|[1-9]\d{0,9})$/.test(part)))
    return undefined;
  const values = parts.map((part) => (/^0\d/.test(part) ? Number.parseInt(part, 8) : Number(part)));
  const last = values.pop() ?? 0;
  if (values.some((value) => value > 255) || last >= 256 ** (4 - values.length)) return undefined;
  return ipv4(values.reduce((sum, value, index) => sum + value * 256 ** (3 - index), last));
}

export function readMac(text: string): Mac {
  const mac = parseMac(text);
  if (mac === undefined) throw syntaxError(`cannot parse '${text}' as ethernet address`, text);
  return mac;
}
