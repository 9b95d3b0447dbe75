/** Reads a whole number as C's strtoul with base 0 does (`0x` hex, `0` octal), within bounds; undefined when it is not one. */
export function parseNumber(text: string, low: number, high: number): number | undefined {
  const small = smallDecimal(text);
  if (small !== undefined) return small < low || small > high ? undefined : small;
  const value = parseBig(text);
  if (value === undefined || value < BigInt(low) || value > BigInt(high)) return undefined;
  return Number(value);
}

/** Up to nine decimal digits without a leading zero, which nearly all numbers of rules are. */
function smallDecimal(text: string): number | undefined {
  if (text.length === 0 || text.length > 9 || text.charCodeAt(0) === 0x30) return undefined;
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

/** As `parseNumber`, for 64-bit values. */
export function parseBig(text: string): bigint | undefined {
  if (text.length > 64) return undefined;
  const body = text.trimStart().replace(/^\+/, "");
  if (/^0x[0-9a-f]+$/i.test(body)) return BigInt(body.toLowerCase());
  if (/^0[0-7]+$/.test(body)) return BigInt(`0o${body.slice(1)}`);
  return /^(0|[1-9]\d*)$/.test(body) ? BigInt(body) : undefined;
}

/** As C's sscanf or atoi would: the number at the start of the text, in decimal; undefined when there is none. */
export function leadingNumber(text: string): number | undefined {
  const match = /^\s*[+-]?\d+/.exec(text);
  return match === null ? undefined : Number(match[0]);
}

export function hex(value: number, digits = 1): string {
  return `0x${(value >>> 0).toString(16).padStart(digits, "0")}`;
}

/** `V/M`, or `V` alone when the mask is all ones. */
export function hexMasked(value: number, mask: number): string {
  return mask >>> 0 === 0xffff_ffff ? hex(value) : `${hex(value)}/${hex(mask)}`;
}
