import { UserError, type UserErrorDetails } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { safeText } from "../../base/safe-text.js";
import { isMapping, type Mapping } from "../../kube/load/check.js";
import type { FieldPath, SourceText } from "../../kube/load/source-text.js";
import { type Micros, microseconds } from "../../sim/time.js";

/** The longest time that a scenario may speak of. */
const LONGEST_DAYS = 30;

const UNITS: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
};

/** Reads the fields of a scenario and collects what is wrong with them, each with its place. */
export class FieldReader {
  readonly errors: UserError[] = [];
  readonly source: SourceText;

  constructor(source: SourceText) {
    this.source = source;
  }

  details(path: FieldPath, at: "key" | "value" = "value"): UserErrorDetails {
    return this.source.details(0, path, at);
  }

  fail(path: FieldPath, message: string, help?: string, at: "key" | "value" = "value"): undefined {
    const details = { ...this.details(path, at), help };
    this.errors.push(new UserError("SCENARIO_FIELD", message, details));
    return undefined;
  }

  /** A mapping with known keys only. `what` names it in messages: `a step`, `"open"`. */
  mapping(
    value: unknown,
    path: FieldPath,
    what: string,
    known: readonly string[],
  ): Mapping | undefined {
    if (!isMapping(value))
      return this.fail(path, `${what} must be a mapping with ${known.join(", ")}`);
    for (const key of Object.keys(value).filter((one) => !known.includes(one))) {
      const near = nearest(key, known);
      const help =
        near === undefined ? `known fields: ${known.join(", ")}` : `did you mean "${near}"?`;
      this.fail([...path, key], `unknown field "${safeText(key)}" in ${what}`, help, "key");
    }
    return value;
  }

  /** A text that is not empty; a number is taken for its digits. */
  text(value: unknown, path: FieldPath, what: string): string | undefined {
    if (typeof value === "string" && value.trim() !== "") return value;
    if (typeof value === "number") return String(value);
    return this.missing(value, path, what, "a text");
  }

  optionalText(value: unknown, path: FieldPath, what: string): string | undefined {
    return value === undefined ? undefined : this.text(value, path, what);
  }

  flag(value: unknown, path: FieldPath, what: string): boolean | undefined {
    return typeof value === "boolean" ? value : this.missing(value, path, what, "true or false");
  }

  whole(
    value: unknown,
    path: FieldPath,
    what: string,
    [low, high]: readonly [number, number],
  ): number | undefined {
    const fits =
      typeof value === "number" && Number.isInteger(value) && value >= low && value <= high;
    return fits ? value : this.missing(value, path, what, `a whole number from ${low} to ${high}`);
  }

  /** `10s`, `1.5m`, `250ms`; a number counts seconds. */
  duration(value: unknown, path: FieldPath, what: string): Micros | undefined {
    const text = typeof value === "number" ? `${value}s` : value;
    const [, digits, unit = ""] =
      typeof text === "string"
        ? (/^(\d+(?:\.\d+)?) ?(us|ms|s|m|h|d)$/.exec(text.trim()) ?? [])
        : [];
    if (digits === undefined)
      return this.missing(value, path, what, "a time: 10s, 250ms, 2m, 1h", "units: us ms s m h d");
    const time = Number(digits) * (UNITS[unit] ?? 0);
    if (time > LONGEST_DAYS * (UNITS["d"] ?? 0))
      return this.fail(path, `${what} is more than ${LONGEST_DAYS} days`);
    return microseconds(time);
  }

  /** One of some words, in any case; the word as it is listed. */
  word(
    value: unknown,
    path: FieldPath,
    what: string,
    words: readonly string[],
  ): string | undefined {
    const asked = typeof value === "string" ? value.toLowerCase() : undefined;
    const found = words.find((word) => word.toLowerCase() === asked);
    if (found !== undefined) return found;
    const near =
      asked === undefined
        ? undefined
        : nearest(
            asked,
            words.map((word) => word.toLowerCase()),
          );
    const help =
      near === undefined ? `one of ${words.join(", ").toLowerCase()}` : `did you mean "${near}"?`;
    return value === undefined
      ? this.missing(value, path, what, "a word", help)
      : this.fail(path, `unknown ${what} ${shown(value)}`, help);
  }

  /** What is not there, or is not what it must be. */
  missing(value: unknown, path: FieldPath, what: string, wanted: string, help?: string): undefined {
    return value === undefined
      ? this.fail(path.slice(0, -1), `${what} is missing`, help ?? `it is ${wanted}`, "key")
      : this.fail(path, `${what} must be ${wanted}, not ${shown(value)}`, help);
  }
}

/** A value in an error, cut. */
export function shown(value: unknown): string {
  return safeText((JSON.stringify(value) ?? "nothing").slice(0, 60));
}
