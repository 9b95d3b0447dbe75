import { get16, parseHex } from "../../src/wire/bytes.js";
import type { Decoded } from "../../src/wire/decoded.js";

/** Bytes from hexadecimal digits with any space between. */
export function hex(text: string): Uint8Array {
  const bytes = parseHex(text);
  if (bytes === undefined) throw new Error(`not hexadecimal: ${text}`);
  return bytes;
}

/** What was decoded; a refusal fails the test with its reason. */
export function valueOf<T>(result: Decoded<T>): T {
  if (!result.ok) throw new Error(`refused: ${result.reason}`);
  return result.value;
}

/** Why it was refused; undefined when it was not. */
export function reasonOf<T>(result: Decoded<T>): string | undefined {
  return result.ok ? undefined : result.reason;
}

/** What an encoder writes into memory that holds something else already. */
export function encoded(length: number, encode: (into: Uint8Array) => void): Uint8Array {
  const into = new Uint8Array(length).fill(0xa5);
  encode(into);
  return into;
}

/** The 16-bit words, 0xffff as 0: which of one's complement's zeros a checksum was is not kept. */
export function oneZero(bytes: Uint8Array): number[] {
  return Array.from(
    { length: Math.ceil(bytes.length / 2) },
    (_, at) => get16(bytes, 2 * at) % 0xffff,
  );
}
