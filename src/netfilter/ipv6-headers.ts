import { get16, get8 } from "../wire/bytes.js";
import { type Frame, NO_BYTES } from "../wire/frame.js";
import {
  decodeExtensions,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  type Ipv6Extension,
} from "../wire/ipv6-extension.js";
import { type Ipv6Header, NO_EXTENSIONS } from "../wire/ipv6.js";

/** What netfilter finds behind the extension headers of a packet. */
export interface UpperHeader {
  readonly protocol: number;
  /** In bytes; 0 in first fragments and whole packets. */
  readonly fragmentOffset: number;
  /** From that header on; empty when a header before it says that it is longer than the packet. */
  readonly payload: Uint8Array;
  /** Extension headers that a first fragment keeps behind its fragment header, in its payload. */
  readonly more: readonly Ipv6Extension[];
}

const EXTENSIONS: readonly number[] = [
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  IPPROTO_FRAGMENT,
  IPPROTO_AH,
  IPPROTO_DSTOPTS,
];

/** Whether a next header is stepped over. */
export function isExtensionHeader(number: number): boolean {
  return EXTENSIONS.includes(number);
}

/**
 * The first header that is no extension, or undefined when headers are cut short or a later fragment begins inside of
 * them. nf_tables stops at an authentication header (`stopsAtAh`), ip6_tables does not.
 * Mirrors net/ipv6/exthdrs_core.c:ipv6_find_hdr() with target -1.
 */
export function upperHeaderOf(
  { payload }: Frame,
  network: Ipv6Header,
  stopsAtAh: boolean,
): UpperHeader | undefined {
  const { extensions, protocol } = network;
  for (const extension of extensions) {
    if (extension.kind === "fragment" && extension.fragmentOffset !== 0)
      return isExtensionHeader(protocol)
        ? undefined
        : found(protocol, payload, extension.fragmentOffset);
    if (stopsAtAh && extension.type === IPPROTO_AH) return found(IPPROTO_AH, NO_BYTES);
  }
  if (!isExtensionHeader(protocol)) return found(protocol, payload);
  const rest = decodeExtensions(protocol, payload);
  if (stopsAtAh && rest.extensions.some(({ type }) => type === IPPROTO_AH))
    return found(IPPROTO_AH, NO_BYTES);
  if (stopsAtAh && rest.protocol === IPPROTO_AH && rest.payload.length >= 2)
    return found(IPPROTO_AH, NO_BYTES);
  return isExtensionHeader(rest.protocol)
    ? cutShort(rest.protocol, rest.payload)
    : { ...found(rest.protocol, rest.payload), more: rest.extensions };
}

function found(protocol: number, payload: Uint8Array, fragmentOffset = 0): UpperHeader {
  return { protocol, fragmentOffset, payload, more: NO_EXTENSIONS };
}

/** Of a header that goes on behind the packet's end its first bytes tell what comes next. */
function cutShort(type: number, bytes: Uint8Array): UpperHeader | undefined {
  const needed = type === IPPROTO_ROUTING || type === IPPROTO_FRAGMENT ? 4 : 2;
  if (bytes.length < needed) return undefined;
  const next = get8(bytes, 0);
  if (isExtensionHeader(next)) return undefined;
  const offset = type === IPPROTO_FRAGMENT ? get16(bytes, 2) & 0xfff8 : 0;
  return found(next, NO_BYTES, offset);
}
