import type { Micros } from "../../sim/time.js";

/** Which extensions the elements of a set have. */
export interface ExtensionKinds {
  /** The default in seconds, 0 for never; undefined without timeouts. */
  readonly timeout: number | undefined;
  readonly counters: boolean;
  readonly comment: boolean;
  readonly skbinfo: boolean;
}

/** What an add gives of the extensions; what is undefined was not named. */
export interface GivenExtensions {
  readonly timeout?: number | undefined;
  readonly packets?: bigint | undefined;
  readonly bytes?: bigint | undefined;
  readonly comment?: string | undefined;
  readonly skbinfo?: SkbInfo | undefined;
}

/** What `-j SET --map-set` copies to the packet. */
export interface SkbInfo {
  readonly mark: number;
  readonly mask: number;
  readonly priority: number;
  readonly queue: number;
}

export const NO_SKBINFO: SkbInfo = { mark: 0, mask: 0, priority: 0, queue: 0 };

/** The extensions of one element. */
export interface Extensions {
  /** The jiffy after which it is gone; undefined when it stays. */
  expires: number | undefined;
  /** Seconds that begin to run when a MAC is known: bitmap:ip,mac. */
  paused: number | undefined;
  packets: bigint;
  bytes: bigint;
  comment: string;
  skbinfo: SkbInfo;
}

/** HZ=250: a jiffy is 4 ms. */
const MICROS_PER_JIFFY = 4_000;
export const JIFFIES_PER_SECOND = 250;

export function jiffiesOf(instant: Micros): number {
  return Math.floor(instant / MICROS_PER_JIFFY);
}

export function newExtensions(): Extensions {
  return {
    expires: undefined,
    paused: undefined,
    packets: 0n,
    bytes: 0n,
    comment: "",
    skbinfo: NO_SKBINFO,
  };
}

/**
 * What an add, or an add that overwrites, leaves. Counters that it does not name stay.
 * Mirrors the end of net/netfilter/ipset/ip_set_hash_gen.h:mtype_add().
 */
export function writeExtensions(
  extensions: Extensions,
  given: GivenExtensions,
  kinds: ExtensionKinds,
  now: Micros,
): void {
  if (kinds.counters) {
    extensions.packets = given.packets ?? extensions.packets;
    extensions.bytes = given.bytes ?? extensions.bytes;
  }
  if (kinds.comment) extensions.comment = given.comment ?? "";
  if (kinds.skbinfo) extensions.skbinfo = given.skbinfo ?? NO_SKBINFO;
  if (kinds.timeout === undefined) return;
  const seconds = given.timeout ?? kinds.timeout;
  extensions.expires = seconds === 0 ? undefined : jiffiesOf(now) + seconds * JIFFIES_PER_SECOND;
}

/** Mirrors include/linux/netfilter/ipset/ip_set.h:ip_set_timeout_expired(). */
export function isExpired({ expires }: Extensions, jiffies: number): boolean {
  return expires !== undefined && expires < jiffies;
}

/** The whole seconds that are left, at least 1; 0 for an element that stays. Mirrors ip_set_timeout_get(). */
export function secondsLeft({ expires, paused }: Extensions, now: Micros): number {
  if (expires === undefined) return paused ?? 0;
  return Math.max(1, Math.floor((expires - jiffiesOf(now)) / JIFFIES_PER_SECOND));
}

/** A comparison of `--packets-eq` and the like. */
export interface CounterTest {
  readonly op: "eq" | "ne" | "lt" | "gt";
  readonly value: bigint;
}

/** What a packet brings to a lookup. Mirrors struct ip_set_adt_opt with its ip_set_ext. */
export interface LookupOptions {
  /** Bytes of the packet from its IP header on. */
  readonly length: number;
  readonly updateCounters: boolean;
  readonly updateSubcounters: boolean;
  readonly packets?: CounterTest | undefined;
  readonly bytes?: CounterTest | undefined;
  /** Called with the skbinfo of the element that was found. */
  readonly onFound?: ((info: SkbInfo) => void) | undefined;
}

/**
 * Whether an element that was found counts as one: alive, and with counters that pass. The packet is counted before
 * they are compared. Mirrors net/netfilter/ipset/ip_set_core.c:ip_set_match_extensions().
 */
export function matchExtensions(
  extensions: Extensions,
  kinds: ExtensionKinds,
  options: LookupOptions | undefined,
  jiffies: number,
): boolean {
  if (isExpired(extensions, jiffies)) return false;
  if (options === undefined) return true;
  if (kinds.counters) {
    if (options.updateCounters) {
      extensions.packets = BigInt.asUintN(64, extensions.packets + 1n);
      extensions.bytes = BigInt.asUintN(64, extensions.bytes + BigInt(options.length));
    }
    if (!passes(options.packets, extensions.packets) || !passes(options.bytes, extensions.bytes))
      return false;
  }
  if (kinds.skbinfo) options.onFound?.(extensions.skbinfo);
  return true;
}

function passes(test: CounterTest | undefined, value: bigint): boolean {
  switch (test?.op) {
    case undefined:
      return true;
    case "eq":
      return value === test.value;
    case "ne":
      return value !== test.value;
    case "lt":
      return value < test.value;
    case "gt":
      return value > test.value;
  }
}

/** Bytes of an element with its extensions in the kernel's memory. Mirrors ip_set_core.c:ip_set_elem_len(). */
export function elementSize(bytes: number, alignment: number, kinds: ExtensionKinds): number {
  let size = bytes;
  let align = alignment;
  const add = (present: boolean, length: number, own: number): void => {
    if (!present) return;
    align = Math.max(align, own);
    size = roundUp(size, own) + length;
  };
  add(kinds.counters, 16, 8);
  add(kinds.timeout !== undefined, 8, 8);
  add(kinds.skbinfo, 16, 4);
  add(kinds.comment, 8, 8);
  return roundUp(size, align);
}

/** Bytes a comment takes besides. Mirrors ip_set_init_comment(). */
export function commentSize({ comment }: Extensions): number {
  return comment === "" ? 0 : 16 + new TextEncoder().encode(comment).length + 1;
}

export function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
