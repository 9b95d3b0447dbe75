import { refuse } from "./refusal.js";

/** Rates and times as tc writes them. */

const RATES: readonly (readonly [string, number])[] = [
  ["bit", 1],
  ["kibit", 1_024],
  ["kbit", 1_000],
  ["mibit", 1_048_576],
  ["mbit", 1_000_000],
  ["gibit", 1_073_741_824],
  ["gbit", 1e9],
  ["tibit", 1_099_511_627_776],
  ["tbit", 1e12],
  ["bps", 8],
  ["kibps", 8_192],
  ["kbps", 8_000],
  ["mibps", 8_388_608],
  ["mbps", 8e6],
  ["gibps", 8_589_934_592],
  ["gbps", 8e9],
];

/** `1mbit` as bytes in a second. */
export function readBytesPerSecond(text: string): number {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(text) ?? [];
  const factor = unit === "" ? 1 : RATES.find(([name]) => name === unit.toLowerCase())?.[1];
  if (digits === "" || factor === undefined)
    throw refuse(`rateest: could not parse rate \`${text}'`);
  return Math.floor((Number(digits) * factor) / 8);
}

/** The largest unit that loses nothing, beginning with Mbit of four digits. Mirrors libxt_rateest.c:rateest_print_rate(). */
export function formatBytesPerSecond(bytes: number): string {
  const bits = bytes * 8;
  if (bits >= 1_000_000 * 1_000 - 1) return `${(bits / 1_000_000).toFixed(0)}Mbit`;
  if (bits >= 1_000 * 1_000 - 1) return `${(bits / 1_000).toFixed(0)}Kbit`;
  return `${bits.toFixed(0)}bit`;
}

const TIMES: readonly (readonly [readonly string[], number])[] = [
  [["s", "sec", "secs"], 1_000_000],
  [["ms", "msec", "msecs"], 1_000],
  [["us", "usec", "usecs"], 1],
];

/** `250ms` as microseconds; undefined when it is no time. */
export function readMicros(text: string): number | undefined {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?|\.\d+)([a-z]*)$/.exec(text) ?? [];
  const factor = unit === "" ? 1 : TIMES.find(([names]) => names.includes(unit))?.[1];
  return digits === "" || factor === undefined ? undefined : Math.floor(Number(digits) * factor);
}

/** `250.0ms`, `1.0s`, `10us`. */
export function formatMicros(micros: number): string {
  if (micros >= 1_000_000) return `${(micros / 1_000_000).toFixed(1)}s`;
  return micros >= 1_000 ? `${(micros / 1_000).toFixed(1)}ms` : `${micros}us`;
}
