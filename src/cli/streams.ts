/** Where a command's words go. stdout carries only the answer; notes and errors go to stderr. */
export interface Streams {
  readonly out: (text: string) => void;
  readonly outBytes: (bytes: Uint8Array) => void;
  readonly err: (text: string) => void;
  readonly isTerminal: boolean;
  /** Set by the command that ran. */
  exitCode: number;
  /** `--width`. */
  readonly width?: number | undefined;
  /** What a text becomes that goes to a file: `--ascii`. */
  readonly inFile?: (text: string) => string;
}

/** The columns that an answer has to fit; undefined for no limit: files and programs, unless `--width` says so. */
export function columnsOf({ width, isTerminal }: Streams, toFile = false): number | undefined {
  return width ?? (isTerminal && !toFile ? process.stdout.columns : undefined);
}

/** The streams of this process. A reader that went away (`| head`) ends the output quietly. */
export function processStreams(): Streams {
  let closed = false;
  const quiet = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") throw error;
    closed = true;
  };
  process.stdout.on("error", quiet);
  process.stderr.on("error", quiet);
  return {
    out(text) {
      if (!closed) process.stdout.write(text);
    },
    outBytes(bytes) {
      if (!closed) process.stdout.write(bytes);
    },
    err(text) {
      process.stderr.write(text);
    },
    isTerminal: process.stdout.isTTY,
    exitCode: 0,
  };
}
