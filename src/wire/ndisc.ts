import { get32, get48, get8, put48, put8 } from "./bytes.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import {
  type Icmpv6Header,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
  NDISC_NEIGHBOUR_SOLICITATION,
  NDISC_REDIRECT,
  NDISC_ROUTER_ADVERTISEMENT,
  NDISC_ROUTER_SOLICITATION,
} from "./icmpv6.js";
import { type Ipv6, type Mac, getIpv6, putIpv6 } from "./ip.js";

/** Option types of neighbour discovery. RFC 4861 §4.6, RFC 3971 §5.3. */
export const ND_OPT_SOURCE_LL_ADDR = 1;
export const ND_OPT_TARGET_LL_ADDR = 2;
export const ND_OPT_PREFIX_INFO = 3;
export const ND_OPT_REDIRECT_HDR = 4;
export const ND_OPT_MTU = 5;
export const ND_OPT_NONCE = 14;

/** The flags of a neighbour advertisement, in the header's second word. RFC 4861 §4.4. */
export const NA_ROUTER = 0x8000_0000;
export const NA_SOLICITED = 0x4000_0000;
export const NA_OVERRIDE = 0x2000_0000;

/** One option: its type and the bytes after type and length, with those two a multiple of 8. */
export interface NdOption {
  readonly type: number;
  readonly body: Uint8Array;
}

/** What follows the ICMPv6 header of a neighbour discovery message. */
export interface NdMessage {
  /** Of solicitation, advertisement and redirect. */
  readonly target: Ipv6 | undefined;
  /** Of a redirect: the address that is reached by the target. */
  readonly destination: Ipv6 | undefined;
  /** Of a router advertisement, both in milliseconds. */
  readonly reachable: number | undefined;
  readonly retransmit: number | undefined;
  readonly options: readonly NdOption[];
}

/** Where the options begin in the payload, by type of message. */
const OPTIONS_AT: ReadonlyMap<number, number> = new Map([
  [NDISC_ROUTER_SOLICITATION, 0],
  [NDISC_ROUTER_ADVERTISEMENT, 8],
  [NDISC_NEIGHBOUR_SOLICITATION, 16],
  [NDISC_NEIGHBOUR_ADVERTISEMENT, 16],
  [NDISC_REDIRECT, 32],
]);

export function isNeighbourDiscovery(type: number): boolean {
  return OPTIONS_AT.has(type);
}

/** Reads the payload of a neighbour discovery message. An option of length 0 or past the end spoils the message. */
export function decodeNdisc(header: Icmpv6Header, payload: Uint8Array): Decoded<NdMessage> {
  const at = OPTIONS_AT.get(header.type);
  if (at === undefined) return refused(`ICMPv6 type ${header.type} is no neighbour discovery`);
  if (payload.length < at)
    return refused(`neighbour discovery cut short: ${payload.length} of ${at} bytes`);
  const options = decodeOptions(payload.subarray(at));
  if (options === undefined) return refused("neighbour discovery option of a wrong length");
  const advertises = header.type === NDISC_ROUTER_ADVERTISEMENT;
  return decoded({
    target: at >= 16 ? getIpv6(payload, 0) : undefined,
    destination: at === 32 ? getIpv6(payload, 16) : undefined,
    reachable: advertises ? get32(payload, 0) : undefined,
    retransmit: advertises ? get32(payload, 4) : undefined,
    options,
  });
}

function decodeOptions(bytes: Uint8Array): NdOption[] | undefined {
  const options: NdOption[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = get8(bytes, at + 1) * 8;
    if (length === 0 || at + length > bytes.length) return undefined;
    options.push({ type: get8(bytes, at), body: bytes.subarray(at + 2, at + length) });
    at += length;
  }
  return options;
}

/** The payload of a solicitation, an advertisement or a redirect (with its `destination`). */
export function encodeNdisc(
  target: Ipv6 | undefined,
  options: readonly NdOption[],
  destination?: Ipv6,
): Uint8Array {
  const addresses = [target, destination].filter((address) => address !== undefined);
  const length = options.reduce((sum, { body }) => sum + 2 + body.length, 16 * addresses.length);
  const bytes = new Uint8Array(length);
  for (const [index, address] of addresses.entries()) putIpv6(bytes, 16 * index, address);
  let at = 16 * addresses.length;
  for (const { type, body } of options) {
    put8(bytes, at, type);
    put8(bytes, at + 1, (2 + body.length) / 8);
    bytes.set(body, at + 2);
    at += 2 + body.length;
  }
  return bytes;
}

/** A link-layer address option for Ethernet. */
export function linkLayerOption(type: number, mac: Mac): NdOption {
  const body = new Uint8Array(6);
  put48(body, 0, mac);
  return { type, body };
}

/** A prefix that a router advertises. RFC 4861 §4.6.2; lifetimes are in seconds, 0xffffffff is for ever. */
export interface PrefixInformation {
  readonly prefix: Ipv6;
  readonly length: number;
  readonly onLink: boolean;
  readonly autonomous: boolean;
  readonly valid: number;
  readonly preferred: number;
}

/** The prefixes of a router advertisement; an option that is too short is passed over. */
export function prefixesOf({ options }: NdMessage): readonly PrefixInformation[] {
  return options
    .filter(({ type, body }) => type === ND_OPT_PREFIX_INFO && body.length >= 30)
    .map(({ body }) => ({
      prefix: getIpv6(body, 14),
      length: get8(body, 0),
      onLink: (get8(body, 1) & 0x80) !== 0,
      autonomous: (get8(body, 1) & 0x40) !== 0,
      valid: get32(body, 2),
      preferred: get32(body, 6),
    }));
}

/** The MTU that a router advertises; undefined when it does not. */
export function mtuOf({ options }: NdMessage): number | undefined {
  const option = options.find(({ type, body }) => type === ND_OPT_MTU && body.length >= 6);
  return option === undefined ? undefined : get32(option.body, 2);
}

/** The Ethernet address in the first option of that type; undefined without one, or when it is no Ethernet address. */
export function linkLayerOf(message: NdMessage, type: number): Mac | undefined {
  const option = message.options.find((candidate) => candidate.type === type);
  return option?.body.length === 6 ? (get48(option.body, 0) as Mac) : undefined;
}
