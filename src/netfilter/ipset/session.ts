import type { NetworkNamespace } from "../../core/namespace.js";
import { UserError } from "../../base/errors.js";
import { newSessionOptions, readCommand, type SessionOptions, type SetCommand } from "./command.js";
import { refused, SET_ERROR_TEXT, type SetError, SetRefusal } from "./failure.js";
import { formatSets } from "./format.js";
import { formatRequest, readElement, requestOf } from "./parse-element.js";
import { readElementOptions } from "./parse-options.js";
import { splitSetLine } from "./split-line.js";
import { type IpSets, ipsets } from "./sets.js";
import type { ElementRequest, Operation } from "./store.js";

/** What a run of the program printed, and its exit code. */
export interface SessionResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What ipset says first in every error. */
const BANNER = "ipset v7.17: ";
const ADVICE = "Try `ipset help' for more information.\n";
/** Bytes of requests that are sent in one message to the kernel. */
const BATCH_BYTES = 4_096;

/** One add or del that waits to be sent with others. */
interface Waiting {
  readonly line: number;
  readonly text: string;
  readonly request: ElementRequest;
}

/** Requests of one kind to one set, sent together. */
interface Batch {
  readonly operation: Operation;
  readonly set: string;
  readonly requests: Waiting[];
  bytes: number;
}

/** A run of ipset in one namespace: one command, or the lines of a restore. */
export class IpsetSession {
  readonly #ns: NetworkNamespace;
  readonly #sets: IpSets;
  readonly #options: SessionOptions = newSessionOptions();
  readonly #lenient: boolean;
  #stdout = "";
  #stderr = "";
  #batch: Batch | undefined;

  /** `lenient`: types that the pinned kernel lacks are made all the same. */
  constructor(ns: NetworkNamespace, lenient: boolean) {
    this.#ns = ns;
    this.#sets = ipsets(ns);
    this.#lenient = lenient;
  }

  /** Runs one command line. `stdin` is what `restore` reads. */
  run(words: readonly string[], stdin: string): SessionResult {
    try {
      const command = readCommand(words, this.#options, {
        restoring: false,
        lenient: this.#lenient,
      });
      if (this.#options.file !== undefined || this.#options.resolve)
        throw new UserError("TOOL_NOT_MODELLED", "ipset: -file and -resolve are not modelled");
      if (command.kind === "restore") return this.#restoreInput(stdin);
      return this.#result(this.#do(command, 0, words.join(" ")));
    } catch (error) {
      if (!(error instanceof SetRefusal)) throw error;
      return this.#failure(error, undefined);
    }
  }

  #restoreInput(text: string): SessionResult {
    let at = 0;
    try {
      return this.#result(this.restore(text, (line) => (at = line)));
    } catch (error) {
      if (!(error instanceof SetRefusal)) throw error;
      return this.#failure(error, error instanceof LineRefusal ? error.line : at);
    }
  }

  #result(code: number): SessionResult {
    return { code, stdout: this.#stdout, stderr: this.#stderr };
  }

  #failure(error: SetRefusal, line: number | undefined): SessionResult {
    const said = line === undefined ? error.message : error.inLine(line);
    const text = `${BANNER}${said}\n${error.usage ? ADVICE : ""}`;
    // `-q` silences what the kernel says, not what is wrong with the line.
    const stderr = this.#options.quiet && !error.usage ? this.#stderr : this.#stderr + text;
    return { code: error.usage ? 2 : 1, stdout: this.#stdout, stderr };
  }

  /** Takes the options of the command line that the lines of a restore follow. */
  take(words: readonly string[]): void {
    readCommand(words, this.#options, { restoring: false, lenient: this.#lenient });
  }

  /** As `restore`, with what it printed. */
  restoreLines(text: string, onLine: (line: number) => void): SessionResult {
    return this.#result(this.restore(text, onLine));
  }

  /** Runs the lines of a restore up to its end, a `quit` or a `test`. Throws a SetRefusal; `onLine` tells which line is read. */
  restore(text: string, onLine: (line: number) => void): number {
    const lines = text.split("\n");
    for (const [index, line] of lines.entries()) {
      onLine(index + 1);
      if (/^\s*(#.*)?$/.test(line) || line === "COMMIT") continue;
      const command = readCommand(splitSetLine(line), this.#options, {
        restoring: true,
        lenient: this.#lenient,
      });
      if (command.kind === "quit") break;
      const code = this.#do(command, index + 1, line);
      if (command.kind === "element" && command.operation === "test") return code;
    }
    this.#send();
    return 0;
  }

  #do(command: SetCommand, line: number, text: string): number {
    if (command.kind === "element") return this.#element(command, line, text);
    this.#send();
    switch (command.kind) {
      case "create":
        this.#expect(this.#sets.create(command.request, this.#options.exist));
        return 0;
      case "destroy":
        this.#expect(
          command.set === undefined ? this.#sets.destroyAll() : this.#sets.destroy(command.set),
        );
        return 0;
      case "flush":
        this.#expect(this.#sets.flush(command.set));
        return 0;
      case "rename":
      case "swap":
        this.#expect(this.#sets[command.kind](command.from, command.to));
        return 0;
      case "list":
      case "save":
        this.#list(command.kind, command.set);
        return 0;
      case "version":
        this.#stdout += "ipset v7.17, protocol version: 7\n";
        return 0;
      case "help":
        throw new UserError("TOOL_NOT_MODELLED", "ipset: help is not modelled");
      case "restore":
      case "quit":
        return 0;
    }
  }

  #expect(error: SetError | undefined): void {
    if (error !== undefined) throw refused(error);
  }

  #element(
    { operation, set: name, element, words }: Extract<SetCommand, { kind: "element" }>,
    line: number,
    text: string,
  ): number {
    if (this.#batch?.operation !== operation || this.#batch.set !== name) this.#send();
    const set = this.#sets.get(name);
    if (set === undefined) throw refused("NO_SET");
    const parts = readElement(element, set, operation);
    const request = requestOf(parts, readElementOptions(set.type, operation, words));
    if (parts.wrongFamily !== undefined) throw wrongFamily(parts.wrongFamily, operation);
    if (operation !== "test") {
      this.#collect(operation, name, { line, text, request });
      if (line === 0) this.#send();
      return 0;
    }
    this.#send();
    const found = this.#sets.request(name, "test", request, this.#requestOptions()) === true;
    const shown = formatRequest(request, set);
    if (!this.#options.quiet)
      this.#stderr += found
        ? `Warning: ${shown} is in set ${name}.\n`
        : `${shown} is NOT in set ${name}.\n`;
    return found ? 0 : 1;
  }

  #requestOptions(): {
    readonly exist: boolean;
    readonly now: NetworkNamespace["sim"]["queue"]["now"];
  } {
    return { exist: this.#options.exist, now: this.#ns.sim.queue.now };
  }

  #collect(operation: Operation, set: string, waiting: Waiting): void {
    this.#batch ??= { operation, set, requests: [], bytes: 0 };
    this.#batch.requests.push(waiting);
    // An element takes about as much in a message as on its line, and its frame.
    this.#batch.bytes += waiting.text.length + 32;
    if (this.#batch.bytes >= BATCH_BYTES) this.#send();
  }

  /** Sends what waits; the kernel stops at the first request that fails. */
  #send(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    for (const { request, line } of batch?.requests ?? []) {
      const { operation, set } = batch ?? { operation: "add", set: "" };
      const answer = this.#sets.request(set, operation, request, this.#requestOptions());
      if (typeof answer === "string") throw new LineRefusal(SET_ERROR_TEXT[answer], line);
    }
  }

  #list(command: "list" | "save", name: string | undefined): void {
    const one = name === undefined ? undefined : this.#sets.at(this.#sets.slotOf(name) ?? -1);
    if (name !== undefined && one === undefined) throw refused("NO_SET");
    const { names, terse, sorted } = this.#options;
    this.#stdout += formatSets(one === undefined ? this.#sets.all() : [one], {
      mode: this.#options.mode ?? (command === "save" ? "save" : "plain"),
      names,
      terse,
      sorted,
      now: this.#ns.sim.queue.now,
      references: (set) => this.#sets.references(set),
    });
  }
}

/** ICMP of the other family: the tool goes on with what it has reset, and stumbles. */
function wrongFamily(text: string, operation: Operation): SetRefusal {
  return new SetRefusal(
    operation === "add"
      ? `Syntax error: ${text}\nInvalid add command: missing setname`
      : "There are missing mandatory flags but can't check them. It's a bug, please report the problem.",
  );
}

/** The kernel refused a request of an earlier line. */
export class LineRefusal extends SetRefusal {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}
