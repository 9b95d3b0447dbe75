import type { Expectation } from "../../core/scenario-recording.js";
import type { FieldPath } from "../../kube/load/source-text.js";
import { expectable } from "../../kube/policy/test-file.js";
import type { FieldReader } from "./field-reader.js";

/** Outcomes as `hopwise trace` calls them. */
const OUTCOMES: readonly string[] = expectable.flatMap((name) =>
  name === "UNKNOWN" || name === "NO-NAME" ? [name] : [name, `REPLY-${name}`],
);

/** TCP's states by the names `ss` has. */
const STATES = [
  "CLOSE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT1",
  "FIN_WAIT2",
  "CLOSE_WAIT",
  "CLOSING",
  "LAST_ACK",
  "TIME_WAIT",
];

const OF_PACKETS = ["outcome", "by", "source", "state", "answer"];
const OF_COMMANDS = ["prints", "lacks"];

/** `expect: delivered`, or a mapping; what a kind of step cannot come to is refused. */
export function readExpectation(
  reader: FieldReader,
  value: unknown,
  path: FieldPath,
  kind: string,
): Expectation | undefined {
  if (value === undefined) return undefined;
  const sends = ["open", "request", "send", "close"].includes(kind);
  if (!sends && kind !== "run")
    return reader.fail(
      path,
      `nothing can be expected of "${kind}"`,
      "expect belongs to open, request, send, close and run",
      "key",
    );
  const known = sends ? OF_PACKETS : OF_COMMANDS;
  const short = typeof value === "string";
  const given = short
    ? { [sends ? "outcome" : "prints"]: value }
    : reader.mapping(value, path, '"expect"', known);
  if (given === undefined) return undefined;
  const at = (key: string): FieldPath => (short ? path : [...path, key]);
  const text = (key: string): string | undefined =>
    reader.optionalText(given[key], at(key), `"${key}"`);
  const word = (key: string, what: string, words: readonly string[]): string | undefined =>
    given[key] === undefined ? undefined : reader.word(given[key], at(key), what, words);
  if (Object.keys(given).length === 0)
    reader.fail(path, '"expect" expects nothing', `it has ${known.join(", ")}`);
  return {
    outcome: word("outcome", "outcome", OUTCOMES),
    by: text("by"),
    source: text("source"),
    state: word("state", "TCP state", STATES),
    answer: text("answer"),
    prints: text("prints"),
    lacks: text("lacks"),
    place: reader.details(path, "key").place ?? { file: reader.source.file, line: 1, column: 1 },
  };
}
