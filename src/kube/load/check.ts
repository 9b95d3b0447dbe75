import * as v from "valibot";
import { UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { safeText } from "../../base/safe-text.js";
import type { Origin } from "../objects.js";
import type { FieldsShape, ListShape, Shape } from "./fields.js";
import type { FieldPath } from "./source-text.js";

/** A mapping as it was read. */
export type Mapping = Record<string, unknown>;

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object that is checked, for its messages. */
export interface Subject {
  /** `NetworkPolicy shop/db-from-api`. */
  readonly title: string;
  readonly origin: Origin;
  /** An object that came out of a cluster: fields that we do not know are newer than we are, and not misspelt. */
  readonly live: boolean;
}

/**
 * What is wrong with the fields of an object: values of a wrong shape, names that do not exist. Removes the nulls that
 * mean "not given", as the API server does. `unknown` collects fields of live objects that are let through.
 */
export function checkFields(
  object: Mapping,
  shape: FieldsShape,
  subject: Subject,
  unknown: string[],
): readonly UserError[] {
  const errors: UserError[] = [];
  checkNames(object, shape, [], (path, known) => {
    // Nobody types a status: the cluster writes it, with fields that are newer than we are.
    if (path[0] === "status") return;
    const near = nearest(String(path.at(-1)), known);
    if (subject.live && near === undefined) unknown.push(`${subject.title}: ${formatPath(path)}`);
    else errors.push(unknownField(subject, path, known));
  });
  const result = v.safeParse(shape, object);
  for (const issue of result.issues ?? []) errors.push(wrongValue(subject, issue));
  return errors;
}

type OnUnknown = (path: FieldPath, known: ReadonlySet<string>) => void;

function checkNames(value: unknown, shape: Shape, path: FieldPath, onUnknown: OnUnknown): void {
  if (isFields(shape)) {
    if (!isMapping(value)) return;
    for (const [name, part] of Object.entries(value)) {
      const inside = [...path, name];
      const inner = Object.hasOwn(shape.read, name) ? shape.read[name] : undefined;
      if (part === null) delete value[name];
      if (inner !== undefined) checkNames(part, inner, inside, onUnknown);
      else if (!shape.known.has(name)) onUnknown(inside, shape.known);
    }
  } else if (isList(shape) && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      if (item === null && isFields(shape.each)) value[index] = {};
      checkNames(item, shape.each, [...path, index], onUnknown);
    }
  }
}

function isFields(shape: Shape): shape is FieldsShape {
  return "known" in shape;
}

function isList(shape: Shape): shape is ListShape {
  return "each" in shape;
}

/** More fields than this are not listed where none is near. */
const FIELDS_LISTED = 8;

function unknownField(subject: Subject, path: FieldPath, known: ReadonlySet<string>): UserError {
  const near = nearest(String(path.at(-1)), known);
  const name = safeText(String(path.at(-1)));
  const parent = formatPath(path.slice(0, -1));
  const where = parent === "" ? "" : ` in ${parent}`;
  return new UserError("K8S_UNKNOWN_FIELD", `${subject.title}: unknown field "${name}"${where}`, {
    ...subject.origin.details(path),
    help:
      near !== undefined
        ? `did you mean "${near}"?${consequence(subject, path, near)}`
        : known.size <= FIELDS_LISTED
          ? `the fields here are ${[...known].join(", ")}`
          : undefined,
  });
}

/** What the mistake would have done, where that is worth a warning. */
function consequence(subject: Subject, path: FieldPath, near: string): string {
  if (!subject.title.startsWith("NetworkPolicy ")) return "";
  if (near === "podSelector" && path.length === 2) {
    const namespace = /^NetworkPolicy ([^/]*)\//.exec(subject.title)?.[1] ?? "";
    return ` Without it the policy would select every pod in namespace ${namespace}.`;
  }
  if (path.length !== 4) return "";
  if (near === "from" || near === "to") return " Without it the rule would allow everybody.";
  return near === "ports" ? " Without it the rule would allow every port." : "";
}

function wrongValue(subject: Subject, issue: v.BaseIssue<unknown>): UserError {
  const path = (issue.path ?? []).map((part) =>
    typeof part.key === "number" ? part.key : String(part.key),
  );
  const field = path.length === 0 ? "the object" : formatPath(path);
  const message = `${subject.title}: ${field} must be ${issue.message}, not ${describe(issue.input)}`;
  return new UserError("K8S_WRONG_VALUE", message, {
    ...subject.origin.details(path, "value"),
    help: advice(issue),
  });
}

function advice(issue: v.BaseIssue<unknown>): string | undefined {
  const { input } = issue;
  if (issue.message === "true or false" && typeof input === "string") {
    if (/^(y|yes|on)$/i.test(input)) return `"${input}" is a string here: write true`;
    if (/^(n|no|off)$/i.test(input)) return `"${input}" is a string here: write false`;
    return undefined;
  }
  if (issue.message === "a string" && (typeof input === "number" || typeof input === "boolean")) {
    return `put it in quotes: "${input}"`;
  }
  if (issue.message.startsWith("one of ") && typeof input === "string") {
    const words = issue.message.slice("one of ".length).split(", ");
    const near =
      words.find((word) => word.toLowerCase() === input.toLowerCase()) ?? nearest(input, words);
    return near === undefined ? undefined : `did you mean "${near}"?`;
  }
  return undefined;
}

function describe(value: unknown): string {
  if (value === undefined) return "absent";
  if (value === null) return "null";
  if (typeof value === "string")
    return `"${safeText(value.length > 60 ? `${value.slice(0, 60)}…` : value)}"`;
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "boolean") return String(value);
  return Array.isArray(value) ? "a list" : "a mapping";
}

/** `spec.ports[0].targetPort`, `metadata.labels["app.kubernetes.io/name"]`. */
export function formatPath(path: FieldPath): string {
  let shown = "";
  for (const part of path) {
    if (typeof part === "number") shown += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) shown += shown === "" ? part : `.${part}`;
    else shown += `["${safeText(part)}"]`;
  }
  return shown;
}
