import { jhash2 } from "../base/jhash.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type IpAddress, ipv6Words } from "../wire/ip.js";

/** Who calls whom. */
export interface CookieFlow {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Segment sizes that a cookie can tell, smallest first. Mirrors msstab of net/ipv4/syncookies.c and net/ipv6/syncookies.c. */
const SIZES = { ipv4: [536, 1300, 1440, 1460], ipv6: [1220, 1420, 1440, 8940] } as const;
/** A cookie counts in the minute it was made in and in the next one. Mirrors MAX_SYNCOOKIE_AGE. */
const MAX_AGE = 2;
const MINUTE = 60_000_000;
const DATA_MASK = 0xff_ffff;

/**
 * A first sequence number that says by itself which SYN it answers. Nothing is kept meanwhile. Differs: the hash is not the
 * kernel's. Mirrors net/ipv4/syncookies.c:__cookie_v4_init_sequence() and secure_tcp_syn_cookie().
 */
export function synCookie(
  ns: NetworkNamespace,
  flow: CookieFlow,
  sequence: number,
  mss: number,
): number {
  const size = Math.max(
    sizesFor(flow).findLastIndex((known) => mss >= known),
    0,
  );
  const minute = minuteOf(ns);
  const data = (hash(ns, flow, minute) + size) & DATA_MASK;
  return (hash(ns, flow, 0) + sequence + (minute << 24) + data) >>> 0;
}

/**
 * The segment size that the client told in the SYN before `sequence`, if `cookie` was this host's answer to it not long ago;
 * undefined when it was not. Mirrors net/ipv4/syncookies.c:__cookie_v4_check() and check_tcp_syn_cookie().
 */
export function mssOfSynCookie(
  ns: NetworkNamespace,
  flow: CookieFlow,
  sequence: number,
  cookie: number,
): number | undefined {
  const rest = (cookie - hash(ns, flow, 0) - sequence + 1) >>> 0;
  const minute = minuteOf(ns);
  const age = (minute - (rest >>> 24)) & 0xff;
  if (age >= MAX_AGE) return undefined;
  return sizesFor(flow)[(rest - hash(ns, flow, minute - age)) & DATA_MASK];
}

function sizesFor({ source }: CookieFlow): readonly number[] {
  return typeof source === "number" ? SIZES.ipv4 : SIZES.ipv6;
}

function minuteOf({ sim }: NetworkNamespace): number {
  return Math.floor(sim.queue.now / MINUTE);
}

/** The key of the hash: chosen once a namespace, when the first cookie is made. */
const keyOf: (ns: NetworkNamespace) => { readonly key: number } = perNamespace((ns) => ({
  key: Math.floor(ns.sim.random() * 0x1_0000_0000) >>> 0,
}));

function hash(ns: NetworkNamespace, flow: CookieFlow, count: number): number {
  const { source, destination, sourcePort, destinationPort } = flow;
  const ports = sourcePort * 0x1_0000 + destinationPort;
  return jhash2(
    [...addressWords(source), ...addressWords(destination), ports, count],
    keyOf(ns).key,
  );
}

export function addressWords(address: IpAddress): readonly number[] {
  return typeof address === "number" ? [address] : ipv6Words(address);
}
