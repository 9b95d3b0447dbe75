import {
  bitsOf,
  formatIp,
  networkAddress,
  parseCidr,
  reverseName,
  type IpNet,
  type IpValue,
} from "./address.js";

/** The name made absolute: with a dot at its end. */
export function fqdn(name: string): string {
  return isFqdn(name) ? name : `${name}.`;
}

/** A name with its escapes in the one form that messages have: `\\046` becomes `\\.`, `\\a` becomes `a`. */
export function plainEscapes(name: string): string {
  if (!name.includes("\\")) return name;
  return name.replaceAll(
    /\\(?:(\d{3})|(.))/gs,
    (_, digits: string | undefined, char: string | undefined) => {
      const code = digits === undefined ? (char?.codePointAt(0) ?? 0) : Number(digits);
      if (code <= 0x20 || code > 0x7e) return `\\${String(code).padStart(3, "0")}`;
      const text = String.fromCodePoint(code);
      return /[.();@$"\\]/.test(text) ? `\\${text}` : text;
    },
  );
}

/** True when the last dot ends the name and is not escaped. */
export function isFqdn(name: string): boolean {
  if (!name.endsWith(".")) return false;
  let slashes = 0;
  for (let index = name.length - 2; index >= 0 && name[index] === "\\"; index--) slashes++;
  return slashes % 2 === 0;
}

/** Where each label of an absolute name begins. Empty for the root. */
export function labelStarts(name: string): number[] {
  if (name === "." || name === "") return [];
  const starts = [0];
  for (let index = 0; index < name.length - 1; index++) {
    if (name[index] === "\\") index++;
    else if (name[index] === ".") starts.push(index + 1);
  }
  return starts;
}

export function labelsOf(name: string): string[] {
  const starts = labelStarts(name);
  return starts.map((start, index) => {
    const end = starts[index + 1] ?? (isFqdn(name) ? name.length : name.length + 1);
    return name.slice(start, end - 1);
  });
}

/** True when `name` is `zone` or below it. Case is ignored. */
export function isInZone(name: string, zone: string): boolean {
  if (zone === ".") return true;
  const a = name.toLowerCase();
  const b = zone.toLowerCase();
  if (a === b) return true;
  return a.endsWith(b) && labelStarts(a).includes(a.length - b.length);
}

/** The longest of the zones that the name is in. */
export function longestZone(zones: readonly string[], name: string): string | undefined {
  let best: string | undefined;
  for (const zone of zones) {
    if (isInZone(name, zone) && (best === undefined || zone.length > best.length)) best = zone;
  }
  return best;
}

/** Mirrors dns.IsDomainName(): labels up to 63 octets, the whole up to 255 on the wire, no empty label. */
export function isDomainName(name: string): boolean {
  if (name === "") return false;
  if (name === ".") return true;
  let octets = 1;
  for (const label of labelsOf(fqdn(name))) {
    const length = label.replaceAll(/\\(\d{3}|.)/gs, "x").length;
    if (length === 0 || length > 63) return false;
    octets += length + 1;
  }
  return octets <= 255;
}

/**
 * The zones that a zone argument of a plugin stands for: one name, or the reverse zones of a CIDR block.
 * Empty when the text is no zone. Mirrors plugin.Host.NormalizeExact().
 */
export function normalizeZone(text: string): string[] {
  let host = text;
  const scheme = /^(dns|tls|quic|grpc|https|https3):\/\//.exec(host);
  if (scheme !== null) host = host.slice(scheme[0].length);
  const split = splitHostPort(host);
  return split === undefined ? [] : split.zones;
}

export interface HostPort {
  readonly zones: string[];
  readonly host: string;
  readonly port: string;
}

/** Why a server key is refused, in CoreDNS's words. */
export interface HostError {
  readonly error: string;
}

export function splitHostPort(text: string): HostPort | undefined {
  const result = splitKey(text);
  return "error" in result ? undefined : result;
}

/** Splits `zone[:port]` at the last colon when a number follows it. Mirrors plugin.SplitHostPort(). */
export function splitKey(text: string): HostPort | HostError {
  let host = text;
  let port = "";
  const colon = text.lastIndexOf(":");
  if (colon === text.length - 1) return { error: `expecting data after last colon: "${text}"` };
  if (colon >= 0) {
    const rest = text.slice(colon + 1);
    if (/^[+-]?\d{1,18}$/.test(rest)) {
      port = String(Number(rest));
      host = text.slice(0, colon);
    }
  }
  if (host.length > 255) return { error: `specified zone is too long: ${host.length} > 255` };
  if (!isDomainName(host)) return { error: `zone is not a valid domain name: ${host}` };
  const net = parseCidr(host);
  if (net === undefined) return { zones: [fqdn(host).toLowerCase()], host, port };
  if (host.startsWith(":") || (host.startsWith("0") && host.includes(":")))
    return { error: `invalid CIDR ${host}` };
  return { zones: reverseZones(net), host, port };
}

/** The reverse zones of a block: cut to whole octets (IPv4) or nibbles (IPv6). */
export function reverseZones(net: IpNet): string[] {
  const step = net.ip.family === 4 ? 8 : 4;
  const bits = bitsOf(net.ip);
  const whole = Math.ceil(net.length / step) * step;
  const count = 2 ** (whole - net.length);
  const base = networkAddress(net);
  return Array.from({ length: count }, (_, index) => {
    const value = base + (BigInt(index) << BigInt(bits - whole));
    return reverseZone({ family: net.ip.family, value }, whole / step);
  });
}

function reverseZone(ip: IpValue, units: number): string {
  const labels = labelsOf(reverseName(ip));
  const total = ip.family === 4 ? 4 : 32;
  return `${labels.slice(total - units).join(".")}.`;
}

export function isReverseZone(zone: string): boolean {
  const lower = zone.toLowerCase();
  return isInZone(lower, "in-addr.arpa.") || isInZone(lower, "ip6.arpa.");
}

/** `10.0.0.1` as `10-0-0-1`, `::1` as `--1`. Mirrors the endpoint names of the kubernetes plugin. */
export function dashedIp(ip: IpValue): string {
  const text = formatIp(ip).replaceAll(/[.:]/g, "-");
  return text.endsWith("-") ? `${text}0` : text;
}
