/** What decoding gives: a value, or why the bytes are not one. Decoding never throws. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** One header and the bytes it carries: a view into the bytes that were decoded. */
export interface Layer<T> {
  readonly header: T;
  readonly payload: Uint8Array;
}

export function decoded<T>(value: T): Decoded<T> {
  return { ok: true, value };
}

export function refused(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}
