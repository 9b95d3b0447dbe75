import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";

/** The program under test; HOPWISE_BIN names another build. */
export const program: string = resolve(process.env["HOPWISE_BIN"] ?? "bin/hopwise.js");

/** Whether tmux is here. Where CI is set it must be. */
export function tmuxIsHere(): boolean {
  const here = spawnSync("tmux", ["-V"]).status === 0;
  if (!here && process.env["CI"] !== undefined) throw new Error("tmux is missing, and CI is set");
  return here;
}

export interface TmuxOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The shell waits for a command. */
export function atPrompt(screen: string): boolean {
  return /bash-[\d.]+[#$]\s*$/.test(screen);
}

/** A shell in a terminal of its own, driven by keys. Its files are in a folder that `close` removes. */
export class Tmux {
  static #count = 0;
  readonly home: string = mkdtempSync(join(tmpdir(), "hopwise-tui-"));
  readonly #socket: string;
  #closed = false;

  constructor({ columns = 80, rows = 24, env = {} }: TmuxOptions = {}) {
    this.#socket = join(this.home, `socket-${Tmux.#count++}`);
    const settings = {
      ...quietEnvironment(),
      HOME: this.home,
      XDG_CACHE_HOME: join(this.home, "cache"),
      ...env,
    };
    const words = Object.entries(settings).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    this.#run([
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-s",
      "t",
      "-x",
      String(columns),
      "-y",
      String(rows),
      ...words,
      "bash --norc --noprofile",
    ]);
    this.#run(["set-option", "-g", "history-limit", "5000"]);
    this.waitFor(atPrompt);
  }

  /** Sends keys by tmux's names. */
  keys(...names: readonly string[]): void {
    this.#run(["send-keys", "-t", "t", ...names]);
  }

  /** Sends text letter by letter. */
  type(text: string): void {
    this.#run(["send-keys", "-t", "t", "-l", text]);
  }

  /** Runs a command line in the shell. */
  shell(command: string): void {
    this.type(command);
    this.keys("Enter");
  }

  screen(...options: readonly string[]): string {
    return this.#run(["capture-pane", "-p", "-t", "t", ...options]);
  }

  rows(): readonly string[] {
    return this.screen().split("\n").slice(0, -1);
  }

  command(...words: readonly string[]): string {
    return this.#run(words).trimEnd();
  }

  resize(columns: number, rows: number): void {
    this.#run(["resize-window", "-t", "t", "-x", String(columns), "-y", String(rows)]);
  }

  /** Polls until the screen is as wanted; fails with the screen when it is not in time. Gives the milliseconds it took. */
  waitFor(wanted: (screen: string) => boolean, seconds = 10): number {
    const start = performance.now();
    for (;;) {
      const screen = this.screen();
      const elapsed = performance.now() - start;
      if (wanted(screen)) return elapsed;
      if (elapsed > seconds * 1000 * patience)
        throw new Error(`not in ${seconds} s; the screen is:\n${screen}`);
      pause(40);
    }
  }

  /** The process id of hopwise in the terminal. */
  processId(): number {
    const shell = this.command("display-message", "-p", "-t", "t", "#{pane_pid}");
    return Number(
      execFileSync("pgrep", ["-P", shell, "node"], { encoding: "utf8" }).trim().split("\n")[0],
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const server = Number(this.command("display-message", "-p", "#{pid}"));
    spawnSync("tmux", ["-S", this.#socket, "kill-server"]);
    for (let tries = 0; tries < 200 && isAlive(server); tries++) pause(25);
    rmSync(this.home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  #run(words: readonly string[]): string {
    return execFileSync("tmux", ["-u", "-S", this.#socket, ...words], {
      encoding: "utf8",
      env: { ...process.env, TMUX: "" },
    });
  }
}

/** Waiting longer on a busy machine makes no test pass that should not. */
const patience = slowness();

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What would change the screen is taken out of the environment that tests run in. */
function quietEnvironment(): Readonly<Record<string, string>> {
  return {
    CI: "",
    NO_COLOR: "",
    FORCE_COLOR: "",
    HOPWISE_WORLD: "",
    HOPWISE_PLAIN: "",
    LC_ALL: "C.UTF-8",
    NODE_ENV: "",
    LANG: "C.UTF-8",
  };
}

/** How much slower than an idle machine this one is now: other work makes times longer, and budgets with them. */
export function slowness(): number {
  const start = performance.now();
  for (let count = 0; count < 3; count++) spawnSync(process.execPath, ["-e", "0"]);
  return Math.max(1, (performance.now() - start) / 3 / 60);
}
