import * as v from "valibot";

/** What a value must look like. The message of each is what an error says it must be: `a string`. */
export type Shape = v.GenericSchema;

/** A mapping whose fields are known: those that are read have a shape, the others only a name. */
export interface FieldsShape extends Shape {
  readonly read: Readonly<Record<string, Shape>>;
  readonly known: ReadonlySet<string>;
}

/** A mapping with known fields. `others` lists, separated by spaces, the fields that exist but are not read. */
export function fields(read: Readonly<Record<string, Shape>>, others = ""): FieldsShape {
  const optional = Object.fromEntries(
    Object.entries(read).map(([name, shape]) => [name, v.nullish(shape)]),
  );
  const known = new Set([
    ...Object.keys(read),
    ...others.split(/\s+/).filter((name) => name !== ""),
  ]);
  return Object.assign(v.looseObject(optional, "a mapping"), { read, known });
}

/** A list of one shape. */
export interface ListShape extends Shape {
  readonly each: Shape;
}

export function list(each: Shape): ListShape {
  const item = "known" in each ? v.nullable(each) : each;
  return Object.assign(v.array(item, "a list"), { each });
}

export const text: Shape = v.string("a string");
export const flag: Shape = v.boolean("true or false");
export const anything: Shape = v.unknown();

export function whole(low: number, high: number): Shape {
  const what = `a whole number from ${low} to ${high}`;
  return v.pipe(v.number(what), v.integer(what), v.minValue(low, what), v.maxValue(high, what));
}

export const port: Shape = whole(1, 65_535);
/** A port that may be 0 for "none given". */
export const portOrNone: Shape = whole(0, 65_535);
export const count: Shape = whole(0, 2_147_483_647);

/** `targetPort: 8080` or `targetPort: http`. */
export const intOrName: Shape = v.custom<number | string>(
  (value) => (typeof value === "number" ? v.is(port, value) : isPortName(value)),
  "a port number from 1 to 65535 or a port name",
);

/** IANA_SVC_NAME: at most 15 characters. */
function isPortName(value: unknown): boolean {
  return (
    typeof value === "string" &&
    value.length <= 15 &&
    /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(value)
  );
}

export const protocol: Shape = v.picklist(["TCP", "UDP", "SCTP"], "one of TCP, UDP, SCTP");

export function oneOf(...words: readonly string[]): Shape {
  return v.picklist(words, `one of ${words.join(", ")}`);
}

/** Labels, annotations, selectors. */
export const stringMap: Shape = v.record(v.string(), v.string("a string"), "a mapping of strings");

/** A DNS subdomain, as object names are. RFC 1123. */
export const objectName: Shape = v.pipe(
  v.string("a string"),
  v.maxLength(253, "at most 253 characters long"),
  v.regex(
    /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/,
    "made of lower case letters, digits, '-' and '.', with a letter or digit at both ends",
  ),
);
