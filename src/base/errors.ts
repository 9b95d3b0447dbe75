/** Where something stands in a text the user gave us. Lines and columns count from 1; columns count UTF-16 units. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Where something stands in a file that is no text. */
export interface BytePlace {
  readonly file: string;
  /** Counts from 0. */
  readonly offset: number;
}

/** What a `UserError` may say besides its message. */
export interface UserErrorDetails {
  /** Where the mistake stands; absent for mistakes on the command line. */
  readonly place?: Place | undefined;
  /** The same in a file of bytes, such as a capture. */
  readonly byte?: BytePlace | undefined;
  /** The line of source text at `place`, as the user wrote it. */
  readonly sourceLine?: string | undefined;
  /** How many columns the caret underlines; at least 1. */
  readonly length?: number | undefined;
  /** One sentence that helps to go on: the nearest valid word, or the next command to run. */
  readonly help?: string | undefined;
}

/**
 * The user's text is wrong. Shown as `FILE:LINE:COL: error: WHAT` with a caret; the process ends with exit code 2.
 * `code` is stable (`RULE_UNKNOWN_MATCH`), for tests and for `--json`.
 */
export class UserError extends Error {
  override readonly name = "UserError";
  readonly code: string;
  readonly details: UserErrorDetails;

  constructor(code: string, message: string, details: UserErrorDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Several mistakes of one run, in the order of the text. Never empty. */
export class UserErrors extends Error {
  override readonly name = "UserErrors";
  readonly errors: readonly UserError[];

  constructor(errors: readonly UserError[]) {
    super(errors.map((error) => error.message).join("\n"));
    this.errors = errors;
  }
}

/** Throws what was collected: nothing for an empty list, the error itself when there is one. */
export function throwCollected(errors: readonly UserError[]): void {
  const [first] = errors;
  if (first === undefined) return;
  throw errors.length === 1 ? first : new UserErrors(errors);
}

/** Marks the branch that the types say cannot be taken. Reaching it is our bug (exit 70). */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** States what must hold. A failure is our bug (exit 70), never the user's. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
