import { UserError } from "../../base/errors.js";
import { isMapping, type Mapping } from "../../kube/load/check.js";
import type { FieldPath } from "../../kube/load/source-text.js";
import { type Micros, seconds } from "../../sim/time.js";
import { splitCommandLine } from "../command-line.js";
import { type FieldReader, shown } from "./field-reader.js";
import type { ConnectionRequest, ObjectName, TypedCommand } from "./scenario.js";

/** How long a program waits for an answer unless the step says. */
export const PATIENCE: Micros = seconds(5);
/** What is sent unless the step says. */
export const DATA = "hopwise";
export const REQUEST_KEYS: readonly string[] = ["from", "to", "proto", "sport", "for", "data"];

const PROTOCOLS = ["tcp", "udp", "icmp"];
const PORTS = [0, 65_535] as const;
/** The most data that one step sends: one datagram. */
const LONGEST_DATA = 65_507;

/** Who sends what to whom: the fields of `open` and `request`. */
export function readRequest(
  reader: FieldReader,
  given: Mapping,
  path: FieldPath,
): ConnectionRequest | undefined {
  const from = reader.text(given["from"], [...path, "from"], '"from"');
  const to = reader.text(given["to"], [...path, "to"], '"to"');
  const asked = given["proto"] ?? "tcp";
  const protocol = reader.word(asked, [...path, "proto"], "protocol", PROTOCOLS);
  const sport = given["sport"] ?? 0;
  const sourcePort = reader.whole(sport, [...path, "sport"], '"sport"', PORTS);
  const patience = readPatience(reader, given["for"], path);
  const data = readData(reader, given["data"], path);
  if (from === undefined || to === undefined || sourcePort === undefined) return undefined;
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "icmp") return undefined;
  return { from, to, protocol, sourcePort, patience, data };
}

export function readPatience(reader: FieldReader, value: unknown, path: FieldPath): Micros {
  if (value === undefined) return PATIENCE;
  return reader.duration(value, [...path, "for"], '"for"') ?? PATIENCE;
}

export function readData(reader: FieldReader, value: unknown, path: FieldPath): string {
  const data = reader.optionalText(value, [...path, "data"], '"data"') ?? DATA;
  if (data.length > LONGEST_DATA)
    reader.fail([...path, "data"], `"data" has more than ${LONGEST_DATA} characters`);
  return data;
}

/** `pod shop/api-1`, `pod/shop/api-1`, `node worker-1`. */
export function readObjectName(
  reader: FieldReader,
  value: unknown,
  path: FieldPath,
): ObjectName | undefined {
  const text = reader.text(value, path, "the object");
  if (text === undefined) return undefined;
  const [, kind = "", first = "", second] =
    /^(\w+)[ /]+([\w.:-]+)(?:\/([\w.:-]+))?$/.exec(text.trim()) ?? [];
  if (kind === "")
    return reader.fail(
      path,
      `${shown(text)} is no object`,
      "say KIND NAMESPACE/NAME: pod shop/api-1",
    );
  const details = reader.details(path);
  return second === undefined
    ? { kind, namespace: "default", name: first, details }
    : { kind, namespace: first, name: second, details };
}

/** A command line, or a mapping of it and what it reads. */
export function readCommand(
  reader: FieldReader,
  ns: string,
  value: unknown,
  path: FieldPath,
): TypedCommand | undefined {
  const isPair = isMapping(value);
  const given = isPair
    ? reader.mapping(value, path, "a command", ["run", "stdin"])
    : { run: value };
  const at = isPair ? [...path, "run"] : path;
  const line = reader.text(given?.["run"], at, "the command");
  const stdin = given?.["stdin"];
  if (stdin !== undefined && typeof stdin !== "string")
    return reader.fail([...path, "stdin"], `"stdin" must be a text, not ${shown(stdin)}`);
  if (line === undefined) return undefined;
  try {
    return { ns, argv: splitCommandLine(line, reader.details(path)), stdin };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    reader.errors.push(error);
    return undefined;
  }
}
