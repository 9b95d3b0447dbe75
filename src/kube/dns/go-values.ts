import { microseconds, type Micros } from "../../sim/time.js";
import type { Dispenser } from "./dispenser.js";

/** Numbers and durations as Go reads them, with Go's errors. */

const units: Record<string, number> = {
  ns: 0.001,
  us: 1,
  µs: 1,
  μs: 1,
  ms: 1000,
  s: 1e6,
  m: 6e7,
  h: 3.6e9,
};

/** Reads `1m30s`. Mirrors time.ParseDuration(); the error is its text. */
export function parseDuration(text: string): Micros | { readonly error: string } {
  const invalid = { error: `time: invalid duration ${goQuote(text)}` };
  const match = /^([+-]?)(.*)$/s.exec(text);
  const sign = match?.[1] === "-" ? -1 : 1;
  let rest = match?.[2] ?? "";
  if (rest === "0") return microseconds(0);
  if (rest === "" || rest.length > 64) return invalid;
  let sum = 0;
  while (rest !== "") {
    const part = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest);
    if (part === null) return invalid;
    const [whole, number = "", unit = ""] = part;
    if (unit === "") return { error: `time: missing unit in duration ${goQuote(text)}` };
    const factor = units[unit];
    if (factor === undefined)
      return { error: `time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}` };
    sum += Number(number) * factor;
    rest = rest.slice(whole.length);
  }
  return sum > 9.2e15 ? invalid : microseconds(sign * sum);
}

/** Reads a duration or throws Go's error. */
export function duration(c: Dispenser, text: string): Micros {
  const value = parseDuration(text);
  if (typeof value === "number") return value;
  throw c.plain(value.error);
}

/** Mirrors strconv.Atoi() and relatives; `as` is the function the error names. */
export function integer(c: Dispenser, text: string, as = "Atoi"): number {
  const value = parseInteger(text);
  if (value !== undefined && !(as === "ParseUint" && /^[+-]/.test(text))) return value;
  const range = /^[+-]?\d+$/.test(text) && as !== "ParseUint";
  throw c.plain(
    `strconv.${as}: parsing ${goQuote(text)}: ${range ? "value out of range" : "invalid syntax"}`,
  );
}

export function parseInteger(text: string): number | undefined {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** `1m30s`, `500ms`, `0s`. Mirrors time.Duration.String(). */
export function formatDuration(value: Micros): string {
  if (value === 0) return "0s";
  const sign = value < 0 ? "-" : "";
  const micros = Math.abs(value);
  if (micros < 1000) return `${sign}${micros}µs`;
  if (micros < 1_000_000) return `${sign}${micros / 1000}ms`;
  const seconds = micros / 1_000_000;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = Number((seconds % 60).toFixed(6));
  return `${sign}${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${rest}s`;
}

/** A Go string literal, as %q prints it. */
export function goQuote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t")}"`;
}

/** Why text is no `HOST:PORT`; undefined when it is. Mirrors net.SplitHostPort(). */
export function hostPortError(text: string): string | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return `address ${text}: missing port in address`;
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close < 0) return `address ${text}: missing ']' in address`;
    return close + 1 === colon ? undefined : `address ${text}: missing port in address`;
  }
  return text.slice(0, colon).includes(":")
    ? `address ${text}: too many colons in address`
    : undefined;
}
