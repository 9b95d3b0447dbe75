/** Numbers in network byte order. A byte past the end reads as 0: check lengths before. */
export function get8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function get16(bytes: Uint8Array, at: number): number {
  return get8(bytes, at) * 0x100 + get8(bytes, at + 1);
}

export function get32(bytes: Uint8Array, at: number): number {
  return get16(bytes, at) * 0x1_0000 + get16(bytes, at + 2);
}

export function get48(bytes: Uint8Array, at: number): number {
  return get16(bytes, at) * 0x1_0000_0000 + get32(bytes, at + 2);
}

export function put8(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value & 0xffff);
}

export function put48(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, Math.floor(value / 0x1_0000_0000));
  put32(bytes, at + 2, value % 0x1_0000_0000);
}

/** `0a1b2c`: two digits a byte. */
export function formatHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Reads `0a1b2c` with any space between; undefined when it is not whole bytes of hexadecimal digits. */
export function parseHex(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(digits)) return undefined;
  const bytes = new Uint8Array(digits.length / 2);
  for (let at = 0; at < bytes.length; at++)
    bytes[at] = Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}
