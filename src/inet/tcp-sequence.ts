/** Sequence numbers count bytes modulo 2^32. RFC 9293 §3.4. */
export function advance(sequence: number, by: number): number {
  return (sequence + by) >>> 0;
}

/** How many bytes `b` lies behind `a`, -2^31..2^31-1. */
export function distance(a: number, b: number): number {
  return (b - a) | 0;
}

/** Mirrors include/net/tcp.h:before(). */
export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** Mirrors after(). */
export function isAfter(a: number, b: number): boolean {
  return isBefore(b, a);
}
