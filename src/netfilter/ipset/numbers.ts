import { syntaxError } from "./failure.js";

const U64 = 1n << 64n;

/**
 * A whole number as strtoull() with base 0 reads it: decimal, 0x hexadecimal or 0 octal, a minus sign wraps.
 * Gives the tool's complaint where it is none or out of range. Mirrors lib/parse.c:string_to_number_ll().
 */
export function readNumber(text: string, low: bigint, high: bigint): bigint | string {
  const value = strtoull(text);
  if (value === undefined) return `'${text}' is invalid as number`;
  if (value < low || value > high) return `'${text}' is out of range ${low}-${high}`;
  return value;
}

function strtoull(text: string): bigint | undefined {
  const match = /^\s*([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.exec(text);
  if (match === null || text.length > 40) return undefined;
  const [, sign, digits = ""] = match;
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  if (value >= U64) return U64 - 1n;
  return sign === "-" ? BigInt.asUintN(64, -value) : value;
}

/** As `readNumber`, but refuses. */
export function needNumber(text: string, low: bigint, high: bigint): bigint {
  const value = readNumber(text, low, high);
  if (typeof value !== "bigint") throw syntaxError(value, text);
  return value;
}

export function needInteger(text: string, low: number, high: number): number {
  return Number(needNumber(text, BigInt(low), BigInt(high)));
}
