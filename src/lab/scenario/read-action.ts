import { UserError, UserErrors } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import { isMapping } from "../../kube/load/check.js";
import { parseDocuments } from "../../kube/load/documents.js";
import { type FieldPath, SourceText } from "../../kube/load/source-text.js";
import type { InlineObject, InputText } from "../../kube/load.js";
import { type FieldReader, shown } from "./field-reader.js";
import {
  DATA,
  PATIENCE,
  readCommand,
  readData,
  readObjectName,
  readPatience,
  readRequest,
  REQUEST_KEYS,
} from "./read-parts.js";
import type { Action, PodFlag } from "./scenario.js";

type Reading = (value: unknown, path: FieldPath) => Action | undefined;

/** Reads what steps do, and knows the connections that were opened before. */
export class ActionReader {
  static readonly kinds: readonly Action["kind"][] = [
    "apply",
    "delete",
    "patch",
    "ready",
    "probe",
    "stop",
    "start",
    "down",
    "up",
    "run",
    "open",
    "request",
    "send",
    "close",
    "wait",
  ];
  readonly reader: FieldReader;
  readonly #read: ((path: string) => InputText) | undefined;
  readonly #opened = new Map<string, boolean>();
  readonly #readings: Readonly<Record<Action["kind"], Reading>> = {
    apply: (value, path) => this.#apply(value, path),
    delete: (value, path) => this.#delete(value, path),
    patch: (value, path) => this.#patch(value, path),
    ready: (value, path) => {
      const pods = this.#flags(value, path, (one, at) => this.reader.flag(one, at, "ready"));
      return pods && { kind: "ready", pods };
    },
    probe: (value, path) => {
      const words = ["succeeds", "fails"];
      const pods = this.#flags(value, path, (one, at) => {
        const word = this.reader.word(one, at, "probe result", words);
        return word === undefined ? undefined : word === "succeeds";
      });
      return pods && { kind: "probe", pods };
    },
    stop: (value, path) => this.#program("stop", value, path),
    start: (value, path) => this.#program("start", value, path),
    down: (value, path) => this.#node("down", value, path),
    up: (value, path) => this.#node("up", value, path),
    run: (value, path) => this.#run(value, path),
    open: (value, path) => this.#open(value, path),
    request: (value, path) => {
      const given = this.reader.mapping(value, path, '"request"', REQUEST_KEYS);
      const request = given && readRequest(this.reader, given, path);
      return request && { kind: "request", request };
    },
    send: (value, path) => this.#send(value, path),
    close: (value, path) => {
      const name = this.#connection(value, path);
      if (name !== undefined) this.#opened.set(name, false);
      return name === undefined ? undefined : { kind: "close", name };
    },
    wait: (value, path) => {
      const time = this.reader.duration(value, path, '"wait"');
      return time === undefined ? undefined : { kind: "wait", time };
    },
  };

  constructor(reader: FieldReader, read: ((path: string) => InputText) | undefined) {
    this.reader = reader;
    this.#read = read;
  }

  /** Undefined for an action that is wrong, which is in `reader.errors` then. */
  read(kind: Action["kind"], value: unknown, path: FieldPath): Action | undefined {
    return this.#readings[kind](value, path);
  }

  #apply(value: unknown, path: FieldPath): Action | undefined {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const objects = list.flatMap((one, index) => {
      const at = Array.isArray(value) ? [...path, index] : path;
      if (typeof one === "string") return this.#objectsOf(one, at);
      if (isMapping(one))
        return [{ source: this.reader.source, document: 0, base: at, value: one }];
      this.reader.fail(at, `"apply" takes objects and names of files, not ${shown(one)}`);
      return [];
    });
    return objects.length === 0 ? undefined : { kind: "apply", objects };
  }

  /** The objects of a manifest that the scenario names. */
  #objectsOf(name: string, path: FieldPath): readonly InlineObject[] {
    try {
      const input = this.#read?.(name);
      if (input === undefined) {
        this.reader.fail(path, `no file "${name}" was given`);
        return [];
      }
      const source = new SourceText(input.file, input.text);
      return parseDocuments(source).flatMap((value, document) =>
        value === null ? [] : [{ source, document, base: [], value }],
      );
    } catch (error) {
      if (error instanceof UserErrors) this.reader.errors.push(...error.errors);
      else if (error instanceof UserError)
        this.reader.errors.push(
          error.details.place === undefined
            ? new UserError(error.code, error.message, {
                ...this.reader.details(path),
                help: error.details.help,
              })
            : error,
        );
      else throw error;
      return [];
    }
  }

  #delete(value: unknown, path: FieldPath): Action | undefined {
    if (typeof value === "string") {
      const object = readObjectName(this.reader, value, path);
      return object && { kind: "delete", object, grace: undefined, exits: undefined };
    }
    const given = this.reader.mapping(value, path, '"delete"', ["object", "grace", "exits"]);
    if (given === undefined) return undefined;
    const object = readObjectName(this.reader, given["object"], [...path, "object"]);
    const time = (key: "grace" | "exits"): ReturnType<FieldReader["duration"]> =>
      given[key] === undefined
        ? undefined
        : this.reader.duration(given[key], [...path, key], `"${key}"`);
    return object && { kind: "delete", object, grace: time("grace"), exits: time("exits") };
  }

  #patch(value: unknown, path: FieldPath): Action | undefined {
    const given = this.reader.mapping(value, path, '"patch"', ["object", "merge"]);
    if (given === undefined) return undefined;
    const object = readObjectName(this.reader, given["object"], [...path, "object"]);
    const merge = given["merge"];
    const base = [...path, "merge"];
    if (!isMapping(merge))
      return this.reader.missing(
        merge,
        base,
        '"merge"',
        "what changes of the object, as a mapping",
      );
    return (
      object && {
        kind: "patch",
        object,
        merge: { source: this.reader.source, document: 0, base, value: merge },
      }
    );
  }

  #flags(
    value: unknown,
    path: FieldPath,
    read: (value: unknown, path: FieldPath) => boolean | undefined,
  ): readonly PodFlag[] | undefined {
    if (!isMapping(value) || Object.keys(value).length === 0)
      return this.reader.fail(path, "pods and what they are were expected", "{shop/api-0: …}");
    const flags = Object.entries(value).flatMap(([pod, one]) => {
      const is = read(one, [...path, pod]);
      const details = this.reader.details([...path, pod], "key");
      return is === undefined ? [] : [{ pod: { key: pod, details }, is }];
    });
    return flags.length === 0 ? undefined : flags;
  }

  #program(kind: "stop" | "start", value: unknown, path: FieldPath): Action | undefined {
    const key = this.reader.text(value, path, "the pod");
    const details = this.reader.details(path);
    return key === undefined ? undefined : { kind, pod: { key, details } };
  }

  #node(kind: "down" | "up", value: unknown, path: FieldPath): Action | undefined {
    const node = this.reader.text(value, path, "the node");
    return node === undefined ? undefined : { kind, node, details: this.reader.details(path) };
  }

  #run(value: unknown, path: FieldPath): Action | undefined {
    if (!isMapping(value) || Object.keys(value).length === 0)
      return this.reader.fail(
        path,
        "where and what to run was expected",
        "{worker-1: ip addr show}",
      );
    const commands = Object.entries(value).flatMap(([ns, lines]) => {
      const list: readonly unknown[] = Array.isArray(lines) ? lines : [lines];
      return list.flatMap((line, index) => {
        const at = [...path, ns, ...(Array.isArray(lines) ? [index] : [])];
        return readCommand(this.reader, ns, line, at) ?? [];
      });
    });
    return commands.length === 0 ? undefined : { kind: "run", commands };
  }

  #open(value: unknown, path: FieldPath): Action | undefined {
    const given = this.reader.mapping(value, path, '"open"', ["name", ...REQUEST_KEYS]);
    if (given === undefined) return undefined;
    const name = this.reader.text(given["name"], [...path, "name"], "the connection's name");
    if (name !== undefined && this.#opened.get(name) === true)
      this.reader.fail(
        [...path, "name"],
        `a connection "${name}" is open already`,
        "close it first, or give this one another name",
      );
    if (name !== undefined) this.#opened.set(name, true);
    const request = readRequest(this.reader, given, path);
    if (request?.protocol === "icmp")
      return this.reader.fail(
        [...path, "proto"],
        "ICMP has no connections",
        'use "request" for an echo',
      );
    return name === undefined || request === undefined
      ? undefined
      : { kind: "open", name, request };
  }

  #send(value: unknown, path: FieldPath): Action | undefined {
    if (!isMapping(value)) {
      const name = this.#connection(value, path);
      return name === undefined
        ? undefined
        : { kind: "send", name, data: DATA, patience: PATIENCE };
    }
    const given = this.reader.mapping(value, path, '"send"', ["on", "data", "for"]) ?? {};
    const name = this.#connection(given["on"], [...path, "on"]);
    const data = readData(this.reader, given["data"], path);
    const patience = readPatience(this.reader, given["for"], path);
    return name === undefined ? undefined : { kind: "send", name, data, patience };
  }

  /** The name of a connection that is open at this step. */
  #connection(value: unknown, path: FieldPath): string | undefined {
    const name = this.reader.text(value, path, "the connection's name");
    if (name === undefined || this.#opened.get(name) === true) return name;
    const open = [...this.#opened].flatMap(([one, isOpen]) => (isOpen ? [one] : []));
    const near = nearest(name, open);
    const closed = this.#opened.get(name) === false;
    return this.reader.fail(
      path,
      closed
        ? `the connection "${name}" was closed before`
        : `no connection "${name}" was opened before`,
      near === undefined
        ? open.length === 0
          ? "open it first"
          : `open: ${open.join(", ")}`
        : `did you mean "${near}"?`,
    );
  }
}
