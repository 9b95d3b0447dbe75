import { parseNumber } from "./numbers.js";
import type { OptionUse } from "./options.js";
import { refuse } from "./refusal.js";

/** Rates of hashlimit: packets in a unit of time, or bytes in a second. */
export interface PacketRate {
  readonly kind: "packets";
  readonly packets: number;
  readonly unitSeconds: number;
}

export interface ByteRate {
  readonly kind: "bytes";
  /** A multiple of 16. */
  readonly bytesPerSecond: number;
}

export type Rate = PacketRate | ByteRate;

const UNITS: readonly (readonly [string, number])[] = [
  ["second", 1],
  ["minute", 60],
  ["hour", 3_600],
  ["day", 86_400],
];
const PRINTED: readonly (readonly [string, number])[] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["min", 60],
  ["sec", 1],
];
/** XT_HASHLIMIT_SCALE_v2. */
const SCALE = 1_000_000;
const BYTE_UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1_024, mb: 1_048_576 };

/** `N[/unit]`, `Nb/s`, `Nkb/s`, `Nmb/s`. */
export function readRate(text: string, { owner, option }: OptionUse): Rate {
  const bad = (): Error => refuse(`${owner}: Bad value for "--${option}" option: "${text}"`);
  const [, digits, size] = /^(\d+)(b|kb|mb)\/s/.exec(text) ?? [];
  if (size !== undefined) {
    const bytes = Number(digits) * (BYTE_UNITS[size] ?? 1);
    if (bytes < 16 || bytes > 0xffff_ffff) throw bad();
    return { kind: "bytes", bytesPerSecond: Math.floor(bytes / 16) * 16 };
  }
  const [count = "", unit] = text.split("/");
  const unitSeconds =
    unit === undefined
      ? 1
      : unit === ""
        ? undefined
        : UNITS.find(([name]) => name.startsWith(unit.toLowerCase()))?.[1];
  const packets = parseNumber(count, 1, 0xffff_ffff);
  if (packets === undefined || unitSeconds === undefined || packets / unitSeconds > SCALE)
    throw bad();
  return { kind: "packets", packets, unitSeconds };
}

/** `N`, `Nb`, `Nkb`, `Nmb`. */
export function readBurst(text: string, { option }: OptionUse): { readonly amount: number } {
  const [, digits, size] = /^(\d+)(b|kb|mb)$/.exec(text) ?? [];
  if (size !== undefined) return { amount: Number(digits) * (BYTE_UNITS[size] ?? 1) };
  const amount = parseNumber(text, 1, SCALE);
  if (amount === undefined)
    throw refuse(`bad value for option "--${option}", or out of range (1-${SCALE}).`);
  return { amount };
}

export interface ShownRate {
  readonly text: string;
  /** The unit that is printed: the default expiry. */
  readonly unitSeconds: number;
}

/** The longest unit that loses nothing; a rate to be matched is shown by the second. Mirrors libxt_hashlimit.c:print_rate(). */
export function formatPacketRate(
  { packets, unitSeconds }: PacketRate,
  rateMatch: boolean,
): ShownRate {
  if (rateMatch) return { text: `${packets}/sec`, unitSeconds };
  const average = Math.floor((SCALE * unitSeconds) / packets);
  const fits = ([, seconds]: readonly [string, number]): boolean =>
    average <= seconds * SCALE &&
    Math.floor((seconds * SCALE) / average) >= (seconds * SCALE) % average;
  const end = PRINTED.findIndex((candidate, index) => index > 0 && !fits(candidate));
  const [name, seconds] = PRINTED.at(end < 0 ? -1 : end - 1) ?? ["sec", 1];
  return { text: `${Math.floor((seconds * SCALE) / average)}/${name}`, unitSeconds: seconds };
}

export function formatByteRate({ bytesPerSecond }: ByteRate): ShownRate {
  return { text: `${formatExact(bytesPerSecond)}/s`, unitSeconds: 1 };
}

/** The largest unit that divides it. */
function formatExact(bytes: number): string {
  if (bytes % 1_048_576 === 0) return `${bytes / 1_048_576}mb`;
  return bytes % 1_024 === 0 ? `${bytes / 1_024}kb` : `${bytes}b`;
}

/** A burst of bytes, by the largest unit that is not larger. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1_048_576) return `${Math.floor(bytes / 1_048_576)}mb`;
  return bytes >= 1_024 ? `${Math.floor(bytes / 1_024)}kb` : `${bytes}b`;
}
