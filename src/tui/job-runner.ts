import type { Work } from "./jobs.js";
import type { UiState } from "./ui-state.js";

/** How often it is said how far a job is, in milliseconds. */
const DRAW_MS = 100;
/** For how long pieces follow each other before keys are read. */
const BREATH_MS = 50;
/** How long to wait before a half read key is looked at again. */
const DECIDE_MS = 10;

export interface JobListener {
  /** What is done next: it is on the screen before the piece starts, for nobody knows how long that takes. */
  readonly working: (text: string) => void;
  readonly done: (change: (state: UiState) => UiState) => void;
  readonly failed: (error: unknown) => void;
  /** Whether a key is half read: it may be the one that stops the job. */
  readonly undecided: () => boolean;
}

/** Runs one job at a time, piece by piece, and lets keys through between pieces. */
export class JobRunner {
  #running: { readonly work: Work; readonly listener: JobListener } | undefined;
  #next: NodeJS.Immediate | undefined;
  #later: NodeJS.Timeout | undefined;
  #drawn = Number.NEGATIVE_INFINITY;

  get busy(): boolean {
    return this.#running !== undefined;
  }

  start(work: Work, listener: JobListener): void {
    this.cancel();
    this.#running = { work, listener };
    this.#drawn = Number.NEGATIVE_INFINITY;
    this.#pieces();
  }

  /** Stops the job where it is: nothing of it is kept. */
  cancel(): void {
    clearImmediate(this.#next);
    clearTimeout(this.#later);
    const work = this.#running?.work;
    this.#running = undefined;
    work?.return((state) => state);
  }

  #pieces(): void {
    const running = this.#running;
    if (running === undefined) return;
    const { work, listener } = running;
    const until = performance.now() + BREATH_MS;
    try {
      for (;;) {
        const { done, value } = work.next();
        if (done === true) {
          this.#running = undefined;
          return listener.done(value);
        }
        const now = performance.now();
        const draw = now - this.#drawn >= DRAW_MS;
        if (draw) {
          this.#drawn = now;
          listener.working(value);
        }
        if (draw || now > until) break;
      }
    } catch (error) {
      this.#running = undefined;
      return listener.failed(error);
    }
    this.#next = setImmediate(() => this.#goOn());
  }

  #goOn(): void {
    if (this.#running?.listener.undecided() === true)
      this.#later = setTimeout(() => this.#goOn(), DECIDE_MS);
    else this.#pieces();
  }
}
