import { get16, get32, get8, put16, put32, put8 } from "./bytes.js";

/** Extension headers by their numbers as next header. */
export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ROUTING = 43;
export const IPPROTO_FRAGMENT = 44;
export const IPPROTO_AH = 51;
export const IPPROTO_DSTOPTS = 60;

export type OptionsType =
  | typeof IPPROTO_HOPOPTS
  | typeof IPPROTO_ROUTING
  | typeof IPPROTO_AH
  | typeof IPPROTO_DSTOPTS;

/** Hop-by-hop options, destination options, a routing header or an authentication header, as bytes. RFC 8200 §4. */
export interface OptionsExtension {
  readonly kind: "options";
  readonly type: OptionsType;
  /** What follows next header and length. With those two bytes a multiple of 8, of an authentication header of 4. */
  readonly body: Uint8Array;
}

/** RFC 8200 §4.5. */
export interface FragmentExtension {
  readonly kind: "fragment";
  readonly type: typeof IPPROTO_FRAGMENT;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  /** 32 bits. */
  readonly id: number;
  /** The reserved byte and, below it, the two reserved bits beside the flag: 0..1023; absent when they are 0. */
  readonly reserved?: number | undefined;
}

export type Ipv6Extension = OptionsExtension | FragmentExtension;

export const FRAGMENT_HLEN = 8;

/** The headers that could be read, and what comes after them. */
export interface Extensions {
  readonly extensions: readonly Ipv6Extension[];
  readonly protocol: number;
  readonly payload: Uint8Array;
}

/**
 * Walks the chain of extension headers. It ends before one that is cut short, which stays payload; and after a fragment
 * header of a packet in pieces, since what follows may be the middle of anything.
 */
export function decodeExtensions(first: number, bytes: Uint8Array): Extensions {
  const extensions: Ipv6Extension[] = [];
  let protocol = first;
  let payload = bytes;
  for (;;) {
    const extension = decodeExtension(protocol, payload);
    if (extension === undefined) return { extensions, protocol, payload };
    extensions.push(extension);
    protocol = get8(payload, 0);
    payload = payload.subarray(extensionLength(extension));
    if (
      extension.kind === "fragment" &&
      (extension.moreFragments || extension.fragmentOffset !== 0)
    )
      return { extensions, protocol, payload };
  }
}

/** The header of that number at the start of `bytes`; undefined when it is none of ours or not all there. */
function decodeExtension(type: number, bytes: Uint8Array): Ipv6Extension | undefined {
  if (type === IPPROTO_FRAGMENT) return decodeFragment(bytes);
  if (!isOptions(type) || bytes.length < 8) return undefined;
  const length = type === IPPROTO_AH ? (get8(bytes, 1) + 2) * 4 : (get8(bytes, 1) + 1) * 8;
  if (bytes.length < length) return undefined;
  return { kind: "options", type, body: bytes.subarray(2, length) };
}

function isOptions(type: number): type is OptionsType {
  return (
    type === IPPROTO_HOPOPTS ||
    type === IPPROTO_ROUTING ||
    type === IPPROTO_AH ||
    type === IPPROTO_DSTOPTS
  );
}

function decodeFragment(bytes: Uint8Array): FragmentExtension | undefined {
  if (bytes.length < FRAGMENT_HLEN) return undefined;
  const place = get16(bytes, 2);
  const reserved = get8(bytes, 1) * 4 + ((place >>> 1) & 3);
  return {
    kind: "fragment",
    type: IPPROTO_FRAGMENT,
    fragmentOffset: place & 0xfff8,
    moreFragments: (place & 1) !== 0,
    id: get32(bytes, 4),
    ...(reserved === 0 ? {} : { reserved }),
  };
}

/** Writes the chain over the first bytes of `into`; `protocol` is what its last header names. */
export function encodeExtensions(
  extensions: readonly Ipv6Extension[],
  protocol: number,
  into: Uint8Array,
): void {
  let at = 0;
  for (const [index, extension] of extensions.entries()) {
    const length = extensionLength(extension);
    put8(into, at, extensions[index + 1]?.type ?? protocol);
    if (extension.kind === "fragment") {
      const reserved = extension.reserved ?? 0;
      const flags = ((reserved & 3) << 1) | (extension.moreFragments ? 1 : 0);
      put8(into, at + 1, reserved >>> 2);
      put16(into, at + 2, extension.fragmentOffset | flags);
      put32(into, at + 4, extension.id);
    } else {
      put8(into, at + 1, extension.type === IPPROTO_AH ? length / 4 - 2 : length / 8 - 1);
      into.set(extension.body, at + 2);
    }
    at += length;
  }
}

/**
 * The headers that every piece of a packet repeats, and those that are cut with its payload: options for the destination are
 * repeated unless they stand behind a routing header. Mirrors net/ipv6/output_core.c:ip6_find_1stfragopt().
 */
export function unfragmentable(
  extensions: readonly Ipv6Extension[],
): readonly [readonly Ipv6Extension[], readonly Ipv6Extension[]] {
  let routed = false;
  let at = 0;
  for (const { type } of extensions) {
    const isRepeated =
      type === IPPROTO_HOPOPTS || type === IPPROTO_ROUTING || (type === IPPROTO_DSTOPTS && !routed);
    if (!isRepeated) break;
    routed ||= type === IPPROTO_ROUTING;
    at += 1;
  }
  return [extensions.slice(0, at), extensions.slice(at)];
}

/** In bytes. */
export function extensionLength(extension: Ipv6Extension): number {
  return extension.kind === "fragment" ? FRAGMENT_HLEN : 2 + extension.body.length;
}

export function extensionsLength(extensions: readonly Ipv6Extension[]): number {
  return extensions.reduce((sum, extension) => sum + extensionLength(extension), 0);
}
