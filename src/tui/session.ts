import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError, UserErrors } from "../base/errors.js";
import { traceJson } from "../view/json.js";
import { tracePcapng } from "../view/pcapng.js";
import { formatTrace } from "../view/text.js";
import type { TraceView } from "../view/trace-view.js";
import { openBar } from "./bar.js";
import { JobRunner } from "./job-runner.js";
import type { InputEvent } from "./keys.js";
import { type Outside, workOf } from "./jobs.js";
import { oneLine } from "./requests.js";
import type { Screen } from "./screen.js";
import type { Store } from "./store.js";
import type { Terminal } from "./terminal.js";
import { currentTrace, type Effect, type Job, type UiState } from "./ui-state.js";
import { resized, tick, update } from "./update.js";

export interface SessionOptions {
  readonly store: Store;
  readonly screen: Screen;
  readonly terminal: Terminal;
  readonly outside: Outside;
  /** Told what was opened and sent, to be offered another time. */
  readonly remember: (job: Job) => void;
  /** Where the clipboard file and crash files go. */
  readonly cacheDir: string;
  readonly editor: string;
  /** Ends the session with an exit code. */
  readonly quit: (code: number) => void;
}

/** Carries out what keys ask for: the one place where the state meets the world outside. */
export class Session {
  readonly #options: SessionOptions;
  #timer: NodeJS.Timeout | undefined;
  readonly #jobs = new JobRunner();
  /** Keys that were pressed while a job runs. */
  #waiting: InputEvent[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Keys that came together make one frame. While a job runs they wait for its end; Esc stops it. */
  input(events: readonly InputEvent[]): void {
    const { store } = this.#options;
    let state = store.get();
    for (const [index, event] of events.entries()) {
      if (this.#jobs.busy) {
        store.set(state);
        return this.#whileBusy(events.slice(index));
      }
      const next = update(state, event);
      state = next.state;
      if (next.effects.length === 0) continue;
      // What a key opens is there for the next key.
      store.set(state);
      for (const effect of next.effects) this.#perform(effect);
      state = store.get();
    }
    store.set(state);
  }

  /** Does a job that no key asked for. */
  start(job: Job): void {
    this.#perform(job);
  }

  resize(): void {
    const { screen, store } = this.#options;
    screen.clear();
    store.set(resized(store.get(), screen.size));
  }

  /** Gives the terminal back and stops, as Ctrl-z does in any program; comes back with SIGCONT. */
  suspend(): void {
    const { terminal, screen } = this.#options;
    screen.drawing = false;
    terminal.leave();
    // The whole job stops, `npm start` around us too. Nobody stops a job without a shell: then we go on at once.
    process.kill(0, "SIGTSTP");
    setTimeout(() => this.resume(), 100);
  }

  resume(): void {
    const { terminal, screen } = this.#options;
    if (terminal.ours) return;
    terminal.enter();
    screen.drawing = true;
    this.resize();
    screen.repaint();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#jobs.cancel();
  }

  /** Keys while a job runs: some are answered at once, Esc stops it, the others come after it. */
  #whileBusy(events: readonly InputEvent[]): void {
    for (const event of events) {
      const name = event.kind === "key" ? event.name : "";
      if (!this.#jobs.busy) this.input([event]);
      else if (name === "Escape") this.#stopJob();
      else if (name === "C-c") this.#perform({ kind: "quit" });
      else if (name === "C-z") this.#perform({ kind: "suspend" });
      else if (name === "C-l") this.#perform({ kind: "redraw" });
      else this.#waiting.push(event);
    }
  }

  #stopJob(): void {
    const { store } = this.#options;
    const { working = "" } = store.get();
    this.#jobs.cancel();
    this.#waiting = [];
    store.set({ ...store.get(), working: undefined });
    this.#say("note", `stopped: ${working}`);
  }

  #begin(job: Job): void {
    const { store, outside, remember, terminal } = this.#options;
    const rest = (): UiState => ({ ...store.get(), working: undefined });
    this.#jobs.start(workOf(job, store.get(), outside), {
      undecided: () => terminal.undecided,
      working: (text) => store.set({ ...store.get(), working: text }),
      done: (change) => {
        store.set(change(rest()));
        remember(job);
        this.input(this.#waiting.splice(0));
      },
      failed: (error) => {
        this.#waiting = [];
        if (!(error instanceof UserError) && !(error instanceof UserErrors)) throw error;
        store.set(withMistake(rest(), job, oneLine(error)));
      },
    });
  }

  #perform(effect: Effect): void {
    try {
      this.#carryOut(effect);
    } catch (error) {
      if (!(error instanceof UserError) && !(error instanceof UserErrors)) throw error;
      this.#say("error", oneLine(error));
    }
  }

  #carryOut(effect: Effect): void {
    const { screen, quit } = this.#options;
    switch (effect.kind) {
      case "quit":
        return quit(0);
      case "suspend":
        return this.suspend();
      case "redraw":
        return screen.repaint();
      case "copy":
        return this.#copy(effect.text, effect.what);
      case "export":
        return this.#export(effect.path);
      case "edit":
        return this.#edit(effect.place.file, effect.place.line);
      case "play":
        return this.#play(effect.speed);
      default:
        return this.#begin(effect);
    }
  }

  /** Terminals do not say whether they took it, so there is a file too. */
  #copy(text: string, what: string): void {
    const { terminal, cacheDir } = this.#options;
    const file = join(cacheDir, "clip.txt");
    terminal.send(`\u001b]52;c;${Buffer.from(text).toString("base64")}\u0007`);
    try {
      mkdirSync(cacheDir, { recursive: true });
      writeFileSync(file, text);
      this.#say("ok", `copied ${what} to the clipboard (OSC 52) and to ${file}`);
    } catch (error) {
      this.#say(
        "note",
        `copied ${what} to the clipboard (OSC 52); ${file} could not be written: ${messageOf(error)}`,
      );
    }
  }

  #export(path: string): void {
    const view = currentTrace(this.#options.store.get())?.model.view;
    if (view === undefined) throw new UserError("EXPORT_NONE", "there is no trace to export");
    const content = exported(view, path);
    try {
      writeFileSync(path, content);
    } catch (error) {
      throw new UserError("EXPORT_WRITE", `${path} could not be written: ${messageOf(error)}`);
    }
    this.#say("ok", `wrote ${path}`);
  }

  #edit(file: string, line: number): void {
    if (!existsSync(file))
      throw new UserError(
        "EDIT_FILE",
        `${file} is not a file here: hopwise wrote it for the node, or it belongs to a demo`,
      );
    const { terminal, screen, editor } = this.#options;
    const [program = "vi", ...words] = editor.split(" ").filter((word) => word !== "");
    screen.drawing = false;
    terminal.leave();
    const { error } = spawnSync(program, [...words, `+${line}`, file], { stdio: "inherit" });
    this.resume();
    if (error !== undefined) this.#say("error", `${program}: ${error.message}`);
  }

  #play(speed: number | undefined): void {
    clearInterval(this.#timer);
    if (speed === undefined) return;
    this.#timer = setInterval(() => {
      const { store } = this.#options;
      const next = tick(store.get());
      store.set(next.state);
      for (const effect of next.effects) this.#perform(effect);
    }, 1000 / speed);
  }

  #say(kind: "note" | "error" | "ok", text: string): void {
    const { store } = this.#options;
    store.set({ ...store.get(), message: { kind, text } });
  }
}

/** What is wrong with a job stands beside the line that asked for it, to be corrected; else it is a message. */
function withMistake(state: UiState, job: Job, mistake: string): UiState {
  if (job.typed === undefined) return { ...state, message: { kind: "error", text: mistake } };
  const form: UiState =
    job.kind === "trace" ? { ...state, screens: [...state.screens, { kind: "new-trace" }] } : state;
  const opened = openBar(form, "command", job.typed);
  return opened.bar === undefined ? opened : { ...opened, bar: { ...opened.bar, mistake } };
}

/** A trace in the format that the file's ending names. Throws UserError. */
function exported(view: TraceView, path: string): string | Uint8Array {
  if (path.endsWith(".json")) return `${JSON.stringify(traceJson(view), undefined, 2)}\n`;
  if (path.endsWith(".pcapng")) return tracePcapng(view);
  if (path.endsWith(".txt")) return formatTrace(view, { all: true });
  throw new UserError("EXPORT_KIND", `"${path}" ends in no format that is known`, {
    help: "use .json, .pcapng or .txt",
  });
}

/** Writes what is known about a crash to a file and gives its name; undefined when that fails too. */
export function writeCrash(cacheDir: string, error: unknown): string | undefined {
  const file = join(cacheDir, `crash-${process.pid}.txt`);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      file,
      `hopwise crashed\nnode ${process.version}, ${process.platform}\n\n${stack}\n`,
    );
    return file;
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
