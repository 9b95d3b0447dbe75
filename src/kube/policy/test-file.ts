import { throwCollected, UserError } from "../../base/errors.js";
import type { Place } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { safeText } from "../../base/safe-text.js";
import { isMapping } from "../load/check.js";
import { parseDocuments } from "../load/documents.js";
import { type FieldPath, SourceText } from "../load/source-text.js";
import type { InputText } from "../load.js";

/** What a connection may come to, as tests name it. */
export type Outcome =
  | "DELIVERED"
  | "LEFT-CLUSTER"
  | "DENIED"
  | "DROPPED"
  | "REJECTED"
  | "NO-ROUTE"
  | "NO-NEIGHBOUR"
  | "NO-ENDPOINT"
  | "NO-NAME"
  | "NOT-LISTENING"
  | "LOOP"
  | "PARTLY"
  | "UNKNOWN";

/** The outcomes that a test may expect. `PARTLY`: some backends of a Service and not others; nobody wants that. */
export const expectable: readonly Outcome[] = [
  "DELIVERED",
  "LEFT-CLUSTER",
  "DENIED",
  "DROPPED",
  "REJECTED",
  "NO-ROUTE",
  "NO-NEIGHBOUR",
  "NO-ENDPOINT",
  "NO-NAME",
  "NOT-LISTENING",
  "LOOP",
  "UNKNOWN",
];

/** One line of a test file. */
export interface ReachTest {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** `TCP`, `UDP`, `SCTP`, `ICMP`. */
  readonly protocol: string;
  readonly expect: Outcome;
  readonly place: Place;
  /** Where `from` and `to` stand, for errors about them. */
  readonly placeOf: { readonly from: Place; readonly to: Place };
}

export interface TestFile {
  readonly file: string;
  /** Worlds that the file names, relative to itself; empty when it names none. */
  readonly worlds: readonly string[];
  readonly dialect: string | undefined;
  readonly tests: readonly ReachTest[];
}

/** How many tests one file may hold. */
export const TESTS_LIMIT = 10_000;

const topKeys = ["world", "dialect", "tests"];
const testKeys = ["name", "from", "to", "proto", "expect"];

/** Reads a file of reachability tests. Throws a UserError, or UserErrors with every mistake. */
export function parseTestFile({ file, text }: InputText): TestFile {
  const source = new SourceText(file, text);
  const reader = new Reader(source);
  const documents = parseDocuments(source);
  const [top] = documents;
  if (documents.length !== 1 || !isMapping(top))
    throw reader.error(
      [],
      "a test file is one mapping with a list of tests",
      'begin it with "tests:"',
    );
  reader.keys(top, topKeys, []);
  const worlds = typeof top["world"] === "string" ? [top["world"]] : stringList(top["world"]);
  if (worlds === undefined) reader.fail(["world"], "world must be a path or a list of paths");
  const dialect = top["dialect"];
  if (dialect !== undefined && typeof dialect !== "string")
    reader.fail(["dialect"], "dialect must be a name");
  const list = top["tests"];
  if (!Array.isArray(list)) throw reader.error(["tests"], "tests must be a list", undefined);
  if (list.length > TESTS_LIMIT)
    throw reader.error(
      ["tests"],
      `the file has ${list.length} tests, more than ${TESTS_LIMIT}`,
      undefined,
    );
  const tests = list.flatMap((value: unknown, at) => reader.test(value, ["tests", at]));
  throwCollected(reader.errors);
  return {
    file,
    worlds: worlds ?? [],
    dialect: typeof dialect === "string" ? dialect : undefined,
    tests,
  };
}

function stringList(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) && value.every((each) => typeof each === "string")
    ? value
    : undefined;
}

class Reader {
  readonly errors: UserError[] = [];
  readonly #source: SourceText;

  constructor(source: SourceText) {
    this.#source = source;
  }

  error(
    path: FieldPath,
    message: string,
    help: string | undefined,
    at: "key" | "value" = "key",
  ): UserError {
    return new UserError("TEST_FILE", message, { ...this.#source.details(0, path, at), help });
  }

  fail(path: FieldPath, message: string, help?: string, at: "key" | "value" = "key"): void {
    this.errors.push(this.error(path, message, help, at));
  }

  keys(value: Record<string, unknown>, known: readonly string[], path: FieldPath): void {
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      const near = nearest(key, known);
      this.fail(
        [...path, key],
        `unknown field "${safeText(key)}"`,
        near === undefined ? `known fields: ${known.join(", ")}` : `did you mean "${near}"?`,
      );
    }
  }

  test(value: unknown, path: FieldPath): readonly ReachTest[] {
    if (!isMapping(value)) {
      this.fail(path, "a test is a mapping with from, to and expect");
      return [];
    }
    this.keys(value, testKeys, path);
    const from = this.#text(value, "from", path);
    const to = this.#text(value, "to", path);
    const expect = this.#expect(value["expect"], path);
    const protocol = this.#protocol(value["proto"], path);
    if (from === undefined || to === undefined || expect === undefined || protocol === undefined)
      return [];
    const name =
      typeof value["name"] === "string"
        ? value["name"]
        : `${from} to ${to} is ${expect.toLowerCase()}`;
    const placeOf = (key: string): Place =>
      this.#source.details(0, [...path, key], "value").place ?? this.#place(path);
    return [
      {
        name,
        from,
        to,
        protocol,
        expect,
        place: this.#place(path),
        placeOf: { from: placeOf("from"), to: placeOf("to") },
      },
    ];
  }

  #place(path: FieldPath): Place {
    return (
      this.#source.details(0, path, "value").place ?? {
        file: this.#source.file,
        line: 1,
        column: 1,
      }
    );
  }

  #text(value: Record<string, unknown>, key: string, path: FieldPath): string | undefined {
    const found = value[key];
    if (typeof found === "string" && found !== "") return found;
    this.fail(
      found === undefined ? path : [...path, key],
      found === undefined ? `the test has no "${key}"` : `${key} must be a name or an address`,
    );
    return undefined;
  }

  #expect(value: unknown, path: FieldPath): Outcome | undefined {
    const found =
      typeof value === "string"
        ? expectable.find((outcome) => outcome === value.toUpperCase())
        : undefined;
    if (found !== undefined) return found;
    const words = expectable.map((outcome) => outcome.toLowerCase());
    const near = typeof value === "string" ? nearest(value.toLowerCase(), words) : undefined;
    const help =
      near === undefined ? `expect is one of ${words.join(", ")}` : `did you mean "${near}"?`;
    this.fail(
      value === undefined ? path : [...path, "expect"],
      value === undefined ? 'the test has no "expect"' : `unknown outcome ${shown(value)}`,
      help,
      "value",
    );
    return undefined;
  }

  #protocol(value: unknown, path: FieldPath): string | undefined {
    if (value === undefined) return "TCP";
    const upper = typeof value === "string" ? value.toUpperCase() : "";
    if (["TCP", "UDP", "SCTP", "ICMP"].includes(upper)) return upper;
    this.fail(
      [...path, "proto"],
      `unknown protocol ${shown(value)}`,
      "proto is one of tcp, udp, sctp, icmp",
      "value",
    );
    return undefined;
  }
}

function shown(value: unknown): string {
  return safeText(JSON.stringify(value).slice(0, 60));
}
