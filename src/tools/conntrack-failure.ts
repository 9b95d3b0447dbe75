/** A command line that `conntrack` refuses, in its words: exit code 2. */
export class ConntrackUsageError extends Error {
  override readonly name = "ConntrackUsageError";
}

/** A request that fails, in conntrack's words: exit code 1. `before` is what it wrote by then. */
export class ConntrackFailure extends Error {
  override readonly name = "ConntrackFailure";
  readonly before: string;

  constructor(message: string, before = "") {
    super(message);
    this.before = before;
  }
}

export function fail(message: string): never {
  throw new ConntrackUsageError(message);
}
