import { UserError, type UserErrorDetails } from "../../base/errors.js";

/** How the real tool words a refusal around its text; `stderrText` in `messages.ts` draws each. */
export type RefusalShape =
  /** `PROG v1.8.9 (nf_tables): TEXT`, exit 2: the text of a line is wrong. */
  | "parameter"
  /** The text alone, then the advice to ask for help, exit 2: ``Bad argument `x'``. */
  | "bare"
  /** `PROG: line N failed: TEXT.`, exit 1: the line is well formed but does not fit the chains. */
  | "line"
  /** `line N: TEXT`, exit 4: the kernel refuses. */
  | "kernel"
  /** `PROG v1.8.9 (legacy): TEXT`, exit 1. */
  | "other"
  /** `PROG: TEXT`, exit 1. */
  | "program";

/** What a refusal may say besides the tool's text. */
export interface RefusalOptions {
  readonly shape?: RefusalShape;
  readonly code?: string;
  readonly help?: string | undefined;
  /** Lines the tool prints before its error. */
  readonly warnings?: readonly string[];
  /** The line the tool blames instead of the current one. */
  readonly line?: number;
}

/** Thrown by what reads words, without knowing where they stand; whoever knows turns it into an `IptablesError`. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly options: RefusalOptions;

  constructor(text: string, options: RefusalOptions = {}) {
    super(text);
    this.options = options;
  }
}

/** A refusal of the text with the tool's exact words; a trailing `\n` is the empty line that the tool prints. */
export function refuse(text: string, options: RefusalOptions = {}): Refusal {
  return new Refusal(text, options);
}

/**
 * The text of rules is wrong, or the kernel would refuse them. `message` is the tool's text without the newlines
 * around it; `toolText` keeps them.
 */
export class IptablesError extends UserError {
  readonly shape: RefusalShape;
  readonly toolText: string;
  /** The line number the real tool names; undefined on the command line. */
  readonly toolLine: number | undefined;
  readonly warnings: readonly string[];

  constructor(refusal: Refusal, line: number | undefined, details: UserErrorDetails) {
    const { options } = refusal;
    super(options.code ?? CODES[options.shape ?? "parameter"], refusal.message.trim(), {
      ...details,
      help: options.help ?? details.help,
    });
    this.shape = options.shape ?? "parameter";
    this.toolText = refusal.message;
    this.toolLine = options.line ?? line;
    this.warnings = options.warnings ?? [];
  }
}

const CODES: Readonly<Record<RefusalShape, string>> = {
  parameter: "RULE_SYNTAX",
  bare: "RULE_SYNTAX",
  line: "RULE_CHAIN",
  kernel: "RULE_REFUSED",
  other: "RULE_CHAIN",
  program: "RULE_SYNTAX",
};
