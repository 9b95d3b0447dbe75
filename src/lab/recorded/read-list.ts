import * as v from "valibot";
import { UserError } from "../../base/errors.js";
import type { InputText } from "../../kube/load.js";
import { isMapping } from "../../kube/load/check.js";
import { parseDocuments } from "../../kube/load/documents.js";
import { SourceText } from "../../kube/load/source-text.js";
import type { Place } from "../../base/errors.js";

/** More entries than this in one list are refused. */
const MAX_ITEMS = 1_000_000;

/** One entry of a list that a tool printed, and where it stands. */
export interface Item<T> {
  readonly value: T;
  readonly place: Place;
  /** A mistake in this entry, at a field of it. */
  refuse(field: string, message: string): UserError;
}

/**
 * Reads what a program prints with `-j`: one list of objects. Empty objects, which iproute2 prints for what it left
 * out, are skipped; a text without any list is an empty one. Throws UserError with the place, for broken JSON too.
 */
export function readList<T>(
  input: InputText,
  program: string,
  schema: v.GenericSchema<unknown, T>,
): readonly Item<T>[] {
  if (input.text.trim() === "") return [];
  const source = new SourceText(input.file, input.text);
  const [list] = parseDocuments(source);
  if (!Array.isArray(list))
    throw new UserError("DUMP_JSON", `${program} prints a list, and this is none`, {
      place: source.placeAt(0),
    });
  if (list.length > MAX_ITEMS)
    throw new UserError("LIMIT_DUMP", `more than ${MAX_ITEMS} entries of ${program}`, {
      place: source.placeAt(0),
    });
  const items: readonly unknown[] = list;
  // Places are looked up when somebody asks: most entries have nothing to say.
  return items.flatMap((item, index) => {
    if (isMapping(item) && Object.keys(item).length === 0) return [];
    const parsed = v.safeParse(schema, item);
    if (!parsed.success) throw schemaError(source, program, index, parsed.issues[0]);
    return [new ListItem(source, program, index, parsed.output)];
  });
}

class ListItem<T> implements Item<T> {
  readonly value: T;
  readonly #source: SourceText;
  readonly #program: string;
  readonly #index: number;

  constructor(source: SourceText, program: string, index: number, value: T) {
    this.value = value;
    this.#source = source;
    this.#program = program;
    this.#index = index;
  }

  get place(): Place {
    return (
      this.#source.details(0, [this.#index], "value").place ?? {
        file: this.#source.file,
        line: 1,
        column: 1,
      }
    );
  }

  refuse(field: string, message: string): UserError {
    return new UserError("DUMP_FIELD", `${this.#program}: ${message}`, {
      ...this.#source.details(0, [this.#index, field], "value"),
    });
  }
}

function schemaError(
  source: SourceText,
  program: string,
  index: number,
  issue: v.BaseIssue<unknown>,
): UserError {
  const path = (issue.path ?? []).flatMap(({ key }) =>
    typeof key === "string" || typeof key === "number" ? [key] : [],
  );
  const at = path.length === 0 ? "entry" : `field "${path.join(".")}"`;
  return new UserError("DUMP_FIELD", `${program}: ${at} is not as it prints it: ${issue.message}`, {
    ...source.details(0, [index, ...path], "value"),
  });
}
