import type { KeyReader, InputEvent } from "./keys.js";

/** How long an escape may be the start of a key's sequence. */
const ESCAPE_MS = 40;

const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?2004h";
const LEAVE = "\u001b[?2004l\u001b[0m\u001b[?25h\u001b[?1049l";
const MOUSE_ON = "\u001b[?1000h\u001b[?1006h";
const MOUSE_OFF = "\u001b[?1006l\u001b[?1000l";

/** The user's terminal while it is ours: the other screen, raw keys, the cursor hidden. `leave` gives it back as it was. */
export class Terminal {
  readonly #stdin: NodeJS.ReadStream;
  readonly #stdout: NodeJS.WriteStream;
  readonly #mouse: boolean;
  readonly #reader: KeyReader;
  #ours = false;
  #escape: NodeJS.Timeout | undefined;
  readonly #onInput: (events: readonly InputEvent[]) => void;

  constructor(
    streams: { readonly stdin: NodeJS.ReadStream; readonly stdout: NodeJS.WriteStream },
    mouse: boolean,
    reader: KeyReader,
    onInput: (events: readonly InputEvent[]) => void,
  ) {
    this.#stdin = streams.stdin;
    this.#stdout = streams.stdout;
    this.#mouse = mouse;
    this.#reader = reader;
    this.#onInput = onInput;
  }

  get ours(): boolean {
    return this.#ours;
  }

  /** Whether an escape was read that may be the start of a longer sequence. */
  get undecided(): boolean {
    return this.#reader.pending;
  }

  enter(): void {
    if (this.#ours) return;
    this.#ours = true;
    this.#stdout.write(`${ENTER}${this.#mouse ? MOUSE_ON : ""}`);
    this.#stdin.setEncoding("utf8");
    this.#stdin.setRawMode(true);
    this.#stdin.on("data", this.#read);
    this.#stdin.resume();
  }

  leave(): void {
    if (!this.#ours) return;
    this.#ours = false;
    clearTimeout(this.#escape);
    this.#stdin.off("data", this.#read);
    this.#stdin.setRawMode(false);
    this.#stdin.pause();
    this.#stdout.write(`${this.#mouse ? MOUSE_OFF : ""}${LEAVE}`);
  }

  /** To the terminal itself, past the screen: the clipboard. */
  send(text: string): void {
    this.#stdout.write(text);
  }

  readonly #read = (chunk: string): void => {
    clearTimeout(this.#escape);
    const events = this.#reader.feed(chunk);
    if (this.#reader.pending) {
      this.#escape = setTimeout(() => this.#onInput(this.#reader.flush()), ESCAPE_MS);
    }
    if (events.length > 0) this.#onInput(events);
  };
}
