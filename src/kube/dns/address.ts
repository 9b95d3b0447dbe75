/** An IPv4 or IPv6 address as a number of 32 or 128 bits. Reads and prints as Go's net package does. */
export interface IpValue {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export interface IpNet {
  readonly ip: IpValue;
  readonly length: number;
}

/** Reads an address; an IPv4-mapped IPv6 address is IPv4, as net.ParseIP().To4() makes it. Zones are refused. */
export function parseIp(text: string): IpValue | undefined {
  if (text.length > 64) return undefined;
  if (!text.includes(":")) return parseV4(text);
  const value = parseV6(text);
  if (value === undefined) return undefined;
  return value >> 32n === 0xffffn
    ? { family: 4, value: value & 0xffff_ffffn }
    : { family: 6, value };
}

/** Reads `ADDRESS/LENGTH`. The host bits are kept; `networkAddress` clears them. */
export function parseCidr(text: string): IpNet | undefined {
  const slash = text.lastIndexOf("/");
  if (slash < 0) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (ip === undefined || !/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const length = Number(digits);
  return length > bitsOf(ip) ? undefined : { ip, length };
}

export function bitsOf(ip: IpValue): number {
  return ip.family === 4 ? 32 : 128;
}

export function networkAddress(net: IpNet): bigint {
  const host = BigInt(bitsOf(net.ip) - net.length);
  return (net.ip.value >> host) << host;
}

export function netContains(net: IpNet, ip: IpValue): boolean {
  if (net.ip.family !== ip.family) return false;
  const host = BigInt(bitsOf(net.ip) - net.length);
  return net.ip.value >> host === ip.value >> host;
}

export function formatIp(ip: IpValue): string {
  return ip.family === 4 ? formatV4(ip.value) : formatV6(ip.value);
}

/** The address in its shortest form, or undefined for text that is none. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text);
  return ip === undefined ? undefined : formatIp(ip);
}

/** The `in-addr.arpa.` or `ip6.arpa.` name of an address. */
export function reverseName(ip: IpValue): string {
  if (ip.family === 4)
    return `${formatV4(ip.value).split(".").toReversed().join(".")}.in-addr.arpa.`;
  return `${[...ip.value.toString(16).padStart(32, "0")].toReversed().join(".")}.ip6.arpa.`;
}

/** The address a reverse name stands for; undefined when the name is not a whole address. */
export function addressOfReverse(name: string): IpValue | undefined {
  const lower = name.toLowerCase();
  if (lower.endsWith(".in-addr.arpa.")) {
    return parseV4(lower.slice(0, -".in-addr.arpa.".length).split(".").toReversed().join("."));
  }
  if (!lower.endsWith(".ip6.arpa.")) return undefined;
  const nibbles = lower.slice(0, -".ip6.arpa.".length).split(".");
  if (nibbles.length !== 32 || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble)))
    return undefined;
  return { family: 6, value: BigInt(`0x${nibbles.toReversed().join("")}`) };
}

function parseV4(text: string): IpValue | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256n + BigInt(part);
  }
  return { family: 4, value };
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return all.reduce((value, group) => value * 65_536n + BigInt(group), 0n);
}

/** The 16-bit groups of one side of `::`; a dotted quad may end the text. */
function groups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const result: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const quad = last && index === parts.length - 1 ? parseV4(part) : undefined;
      if (quad === undefined) return undefined;
      result.push(Number(quad.value >> 16n), Number(quad.value & 0xffffn));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      result.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return result;
}

function formatV4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
}

/** RFC 5952 §4: the longest run of two or more zero groups becomes `::`, the first of equals. */
function formatV6(value: bigint): string {
  const list = Array.from({ length: 8 }, (_, index) =>
    Number((value >> BigInt(112 - 16 * index)) & 0xffffn),
  );
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && list[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = list.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}
