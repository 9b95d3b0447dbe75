import { widthOf } from "./cells.js";

// oxlint-disable-next-line no-control-regex -- the codes for colours
const SGR = /\u001b\[[0-9;]*m/g;

/** What a screen is written to. */
export interface ScreenTarget {
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  write(text: string): unknown;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The stdout that Ink draws on. Ink 6.8 erases the terminal's scrollback when it draws whole screens itself, so it is
 * given this one: it takes a whole frame and writes the lines that differ from the last one, each at its place.
 */
export class Screen {
  readonly isTTY = true;
  readonly #target: ScreenTarget;
  #shown: readonly string[] = [];
  #last: readonly string[] = [];
  #drawing = true;
  /** Frames written since the start. */
  frames = 0;

  constructor(target: ScreenTarget) {
    this.#target = target;
  }

  get size(): Size {
    // 0 columns is what a terminal says that does not know.
    return { columns: this.#target.columns || 80, rows: this.#target.rows || 24 };
  }

  get columns(): number {
    return this.size.columns;
  }

  /** Never so few that Ink takes the frame for a full screen. */
  get rows(): number {
    return 100_000;
  }

  /** Ink hands over one whole frame. */
  write(frame: string): boolean {
    // What hides or shows the cursor is ours to say.
    if (frame.startsWith("\u001b[?")) return true;
    this.#last = frame
      .split("\n")
      .slice(0, this.size.rows)
      .map((line) => line.trimEnd());
    if (this.#drawing) this.#draw(this.#last);
    return true;
  }

  on(): this {
    return this;
  }

  off(): this {
    return this;
  }

  /** Somebody else wrote on the terminal, or its size changed: clears it and writes the last frame whole. */
  repaint(): void {
    this.#shown = [];
    this.#target.write("\u001b[0m\u001b[2J");
    this.#draw(this.#last.slice(0, this.size.rows));
  }

  /** Clears the terminal: the next frame is for another size. */
  clear(): void {
    this.#last = [];
    this.repaint();
  }

  /** Nothing is drawn while the terminal belongs to somebody else. */
  set drawing(on: boolean) {
    this.#drawing = on;
  }

  #draw(lines: readonly string[]): void {
    let out = "";
    const height = Math.max(lines.length, this.#shown.length);
    for (let row = 0; row < height; row++) {
      const line = lines[row] ?? "";
      if (line === this.#shown[row]) continue;
      // At the last column an erase would take the letter there.
      const erase = widthOf(line.replaceAll(SGR, "")) < this.columns ? "\u001b[K" : "";
      out += `\u001b[${row + 1};1H${line}\u001b[0m${erase}`;
    }
    this.#shown = lines;
    if (out === "") return;
    this.frames++;
    this.#target.write(`\u001b[?2026h${out}\u001b[?2026l`);
  }
}
