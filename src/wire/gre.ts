import { get16, get32 } from "./bytes.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";

export const IPPROTO_GRE = 47;

/** What a GRE packet may carry, by EtherType. */
export const GRE_PROTOCOLS = {
  ipv4: 0x0800,
  ipv6: 0x86dd,
  /** A whole Ethernet frame. */
  ethernet: 0x6558,
  ppp: 0x880b,
} as const;

const CHECKSUM = 0x8000;
const ROUTING = 0x4000;
const KEY = 0x2000;
const SEQUENCE = 0x1000;
/** Version 1 alone. */
const ACKNOWLEDGMENT = 0x0080;

/** A GRE header. Version 0 is RFC 2784 with the key and number of RFC 2890, version 1 PPTP's of RFC 2637 §4.1. */
export interface GreHeader {
  readonly version: number;
  /** An EtherType. */
  readonly protocol: number;
  readonly checksum: number | undefined;
  /** Of version 0; PPTP's holds the payload's length and the call's id. */
  readonly key: number | undefined;
  readonly sequence: number | undefined;
  readonly acknowledgment: number | undefined;
}

/** Reads version 0 and 1. The source routes of RFC 1701 are not told apart from what follows them: a packet with some is refused. */
export function decodeGre(bytes: Uint8Array): Decoded<Layer<GreHeader>> {
  if (bytes.length < 4) return refused(`GRE header cut short: ${bytes.length} of 4 bytes`);
  const flags = get16(bytes, 0);
  const version = flags & 7;
  let at = 4;
  const word = (bit: number): number | undefined => {
    if ((flags & bit) === 0) return undefined;
    at += 4;
    return at > bytes.length ? undefined : get32(bytes, at - 4);
  };
  const checksum = version === 0 ? word(CHECKSUM | ROUTING) : undefined;
  const key = word(KEY);
  const sequence = word(SEQUENCE);
  if (version === 0 && (flags & ROUTING) !== 0) {
    if (word(ROUTING) !== 0) return refused("GRE source routes");
  }
  const acknowledgment = version === 1 ? word(ACKNOWLEDGMENT) : undefined;
  if (at > bytes.length) return refused(`GRE header cut short: ${bytes.length} of ${at} bytes`);
  const header: GreHeader = {
    version,
    protocol: get16(bytes, 2),
    checksum: checksum === undefined ? undefined : checksum >>> 16,
    key,
    sequence,
    acknowledgment,
  };
  return decoded({ header, payload: bytes.subarray(at) });
}

/** Writes the header in front of `payload`. A checksum is taken as it is told. */
export function encodeGre(header: GreHeader, payload: Uint8Array): Uint8Array {
  const { version, protocol, checksum, key, sequence, acknowledgment } = header;
  const flags =
    (checksum === undefined ? 0 : CHECKSUM) |
    (key === undefined ? 0 : KEY) |
    (sequence === undefined ? 0 : SEQUENCE) |
    (acknowledgment === undefined ? 0 : ACKNOWLEDGMENT);
  const words = [checksum === undefined ? undefined : checksum * 0x1_0000, key, sequence];
  const present = [...words, acknowledgment].filter((value) => value !== undefined);
  const bytes = new Uint8Array(4 + present.length * 4 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, flags | version);
  view.setUint16(2, protocol);
  present.forEach((value, index) => view.setUint32(4 + index * 4, value));
  bytes.set(payload, 4 + present.length * 4);
  return bytes;
}

/** The call that a packet of PPTP belongs to. */
function greCallId({ version, key }: GreHeader): number | undefined {
  return version === 1 && key !== undefined ? key & 0xffff : undefined;
}

/** As tcpdump prints it: `GREv0, key=0x7, seq 9, length 48: IP …`; `inner` prints what it carries. */
export function formatGre(
  bytes: Uint8Array,
  inner: (protocol: number, payload: Uint8Array) => string,
): string {
  const version = (bytes[1] ?? 0) & 7;
  if (version > 1) return `GREv${version} ERROR: unknown-version`;
  const gre = decodeGre(bytes);
  if (!gre.ok) return `GREv${version} [|gre]`;
  const { header, payload } = gre.value;
  const routed = (get16(bytes, 0) & (CHECKSUM | ROUTING)) !== 0;
  const words = [`GREv${version}`];
  if (version === 0 && routed) words.push(`off 0x${get16(bytes, 6).toString(16)}`);
  if (header.key !== undefined)
    words.push(version === 0 ? `key=0x${header.key.toString(16)}` : `call ${greCallId(header)}`);
  if (header.sequence !== undefined) words.push(`seq ${header.sequence}`);
  if (header.acknowledgment !== undefined) words.push(`ack ${header.acknowledgment}`);
  if (version === 1 && header.sequence === undefined)
    return `${words.join(", ")}, no-payload, length ${bytes.length}`;
  words.push(`length ${bytes.length}`);
  return `${words.join(", ")}: ${inner(header.protocol, payload)}`;
}
