import { throwCollected, type Place, UserError, UserErrors } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import { safeText } from "../base/safe-text.js";
import { type Kind, type Kinds, type Loaded, type Origin, originIn } from "./objects.js";
import { checkFields, isMapping, type Mapping } from "./load/check.js";
import { parseDocuments } from "./load/documents.js";
import { kinds, unreadKinds } from "./load/kinds.js";
import { type FieldPath, SourceText } from "./load/source-text.js";

/** Something the user should know about what was read or assumed; no mistake. */
export interface Note {
  readonly text: string;
  readonly place?: Place | undefined;
}

/** A note about an object. Its place is looked up when it is asked for: a big dump may have many notes. */
export function noteAt(text: string, origin: Origin, path: FieldPath = []): Note {
  return {
    text,
    get place() {
      return origin.placeOf(path);
    },
  };
}

/** An object of a kind that has no part in the answer. */
export interface UnusedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly origin: Origin;
}

/** The objects of all texts by kind, each list in the order of the texts; a later object replaces an earlier one of its name. */
export interface LoadResult {
  readonly objects: { readonly [K in Kind]: readonly Loaded<Kinds[K]>[] };
  readonly unused: readonly UnusedObject[];
  /** How many Secrets were passed over; nothing of them is kept. */
  readonly secrets: number;
  readonly notes: readonly Note[];
}

export interface InputText {
  readonly file: string;
  readonly text: string;
}

/**
 * Reads Kubernetes objects from kubectl's YAML or JSON: several documents, `List` kinds, several files. Throws one
 * UserError, or UserErrors with every mistake of every text.
 */
export function loadObjects(texts: readonly InputText[]): LoadResult {
  const loader = new Loader();
  for (const { file, text } of texts) loader.read(new SourceText(file, text));
  return loader.result();
}

/** One object that stands somewhere inside another text, or is made from what stands there. */
export interface InlineObject {
  readonly source: SourceText;
  readonly document: number;
  /** The way to it from the document's root. */
  readonly base: FieldPath;
  readonly value: unknown;
}

/** Reads objects that stand inside a text that is about something else. Throws like `loadObjects`. */
export function loadInline(objects: readonly InlineObject[]): LoadResult {
  const loader = new Loader();
  for (const { source, document, base, value } of objects)
    loader.take(source, document, value, base);
  return loader.result();
}

class Loader {
  readonly #errors: UserError[] = [];
  readonly #notes: Note[] = [];
  readonly #unused: UnusedObject[] = [];
  readonly #found = new Map<Kind, Map<string, Loaded<unknown>>>();
  readonly #newer = new Set<string>();
  #secrets = 0;

  read(source: SourceText): void {
    let seen = 0;
    try {
      for (const [index, document] of parseDocuments(source).entries()) {
        if (document !== null && document !== undefined) seen += this.take(source, index, document);
      }
    } catch (error) {
      if (error instanceof UserError) this.#errors.push(error);
      else if (error instanceof UserErrors) this.#errors.push(...error.errors);
      else throw error;
      return;
    }
    if (seen === 0) {
      this.#fail(
        "K8S_NO_OBJECTS",
        "the file holds no Kubernetes objects",
        originIn(source, 0, []),
        {
          help: "expected what kubectl get -o yaml prints, or manifests for kubectl apply",
        },
      );
    }
  }

  result(): LoadResult {
    throwCollected(this.#errors);
    const of = <K extends Kind>(kind: K): readonly Loaded<Kinds[K]>[] => [
      ...((this.#found.get(kind) as Map<string, Loaded<Kinds[K]>> | undefined)?.values() ?? []),
    ];
    const objects = Object.fromEntries(
      allKinds.map((kind) => [kind, of(kind)]),
    ) as LoadResult["objects"];
    const newer = [...this.#newer].map((text) => ({
      text: `field that hopwise does not know, ignored: ${text}`,
    }));
    return {
      objects,
      unused: this.#unused,
      secrets: this.#secrets,
      notes: [...this.#notes, ...newer],
    };
  }

  /** Takes one document, or the items of a list; how many objects it was. */
  take(source: SourceText, document: number, value: unknown, base: FieldPath = []): number {
    const origin = originIn(source, document, base);
    if (!isMapping(value))
      return this.#refuse(origin, "a mapping with apiVersion and kind was expected here");
    const { apiVersion, kind } = value;
    if (typeof kind !== "string" || kind === "")
      return this.#refuse(origin, 'not a Kubernetes object: it has no "kind"', value, "kind");
    if (typeof apiVersion !== "string" || apiVersion === "") {
      return this.#refuse(
        origin,
        `not a Kubernetes object: this ${safeText(kind)} has no "apiVersion"`,
        value,
        "apiVersion",
      );
    }
    if (kind.endsWith("List") && (Array.isArray(value["items"]) || value["items"] === null)) {
      const items: readonly unknown[] = value["items"] ?? [];
      for (const [index, item] of items.entries()) {
        this.take(source, document, withListKind(item, apiVersion, kind), [
          ...base,
          "items",
          index,
        ]);
      }
      return 1;
    }
    this.#object(value, apiVersion, kind, origin);
    return 1;
  }

  #object(value: Mapping, apiVersion: string, kind: string, origin: Origin): void {
    if (kind === "Secret") {
      this.#secrets++;
      return;
    }
    const table = isKind(kind) && isOf(kinds[kind], apiVersion) ? kinds[kind] : undefined;
    if (table === undefined || !isKind(kind)) {
      this.#unread(value, apiVersion, kind, origin);
      return;
    }
    const metadata = isMapping(value["metadata"]) ? value["metadata"] : {};
    const name = typeof metadata["name"] === "string" ? metadata["name"] : "";
    const namespace = typeof metadata["namespace"] === "string" ? metadata["namespace"] : "default";
    const key = table.namespaced ? `${namespace}/${name}` : name;
    const title = `${kind} ${safeText(key)}`;
    const unknown: string[] = [];
    const errors = checkFields(
      value,
      table.shape,
      { title, origin, live: typeof metadata["uid"] === "string" },
      unknown,
    );
    for (const field of unknown) this.#newer.add(field);
    this.#errors.push(...errors);
    if (name === "") this.#fail("K8S_NO_NAME", `${kind}: metadata.name is missing`, origin);
    if (errors.length > 0 || name === "") return;
    if (table.namespaced) metadata["namespace"] = namespace;
    this.#keep(kind, key, { object: value, origin });
  }

  #keep(kind: Kind, key: string, loaded: Loaded<unknown>): void {
    const known = this.#found.get(kind) ?? new Map<string, Loaded<unknown>>();
    this.#found.set(kind, known);
    const earlier = known.get(key);
    if (earlier !== undefined) {
      const { file, line } = earlier.origin;
      const { origin } = loaded;
      const place = { file: origin.file, line: origin.line, column: origin.column };
      this.#notes.push({ text: `${kind} ${key} replaces the one at ${file}:${line}`, place });
      known.delete(key);
    }
    known.set(key, loaded);
  }

  /** A kind we do not read: kept by name, unless it is a kind of a known group that does not exist. */
  #unread(value: Mapping, apiVersion: string, kind: string, origin: Origin): void {
    const built = allKinds.some((known) => kinds[known].apiVersion === apiVersion);
    const near = nearest(
      kind,
      allKinds.filter((known) => kinds[known].apiVersion === apiVersion),
    );
    if (built && !unreadKinds.includes(kind) && near !== undefined && near !== kind) {
      const message = `unknown kind "${safeText(kind)}" in ${safeText(apiVersion)}`;
      const details = { ...origin.details(["kind"], "value"), help: `did you mean "${near}"?` };
      this.#errors.push(new UserError("K8S_UNKNOWN_KIND", message, details));
      return;
    }
    const metadata = isMapping(value["metadata"]) ? value["metadata"] : {};
    const textOf = (field: unknown): string | undefined =>
      typeof field === "string" ? field : undefined;
    const name = textOf(metadata["name"]) ?? "";
    this.#unused.push({ apiVersion, kind, namespace: textOf(metadata["namespace"]), name, origin });
  }

  #refuse(origin: Origin, message: string, value?: Mapping, missing?: string): number {
    const near =
      value === undefined || missing === undefined
        ? undefined
        : nearest(missing, Object.keys(value));
    const details =
      near === undefined || near === missing
        ? origin.details([], "value")
        : { ...origin.details([near]), help: `is "${safeText(near)}" meant to be "${missing}"?` };
    this.#errors.push(new UserError("K8S_NOT_AN_OBJECT", message, details));
    return 1;
  }

  #fail(
    code: string,
    message: string,
    origin: Origin,
    extra: { readonly help?: string } = {},
  ): void {
    this.#errors.push(new UserError(code, message, { ...origin.details([], "value"), ...extra }));
  }
}

const allKinds = Object.keys(kinds) as readonly Kind[];

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(kinds, kind);
}

function isOf(table: (typeof kinds)[Kind], apiVersion: string): boolean {
  return table.apiVersion === apiVersion || table.alias === apiVersion;
}

/** Items of a `PodList` do not repeat their kind. */
function withListKind(item: unknown, apiVersion: string, listKind: string): unknown {
  if (!isMapping(item) || listKind === "List") return item;
  return { apiVersion, kind: listKind.slice(0, -"List".length), ...item };
}
