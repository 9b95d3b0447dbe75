import { render } from "ink";
import type { World } from "../lab/world.js";
import { Frame } from "./frame.js";
import { type Outside, withWorld, withWorlds } from "./jobs.js";
import { KeyReader } from "./keys.js";
import type { Binding } from "./key-table.js";
import { type Memory, readMemory, remembered, writeMemory } from "./memory.js";
import { traceWords, withNewTrace } from "./requests.js";
import { Screen } from "./screen.js";
import { Session, writeCrash } from "./session.js";
import { Sources } from "./sources.js";
import { Store } from "./store.js";
import type { Palette } from "./style.js";
import { Terminal } from "./terminal.js";
import { initialState, type OpenWorld, openWorldOf, type UiState } from "./ui-state.js";
import { worldSummary } from "./world-items.js";

export interface TuiOptions {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly err: (text: string) => void;
  /** Undefined lets one be chosen. */
  readonly world: World | undefined;
  /** `SRC DST` and its options; undefined opens the world. */
  readonly trace: string | undefined;
  /** What `:replay` takes, to begin with. */
  readonly replay?: string | undefined;
  readonly outside: Outside;
  /** Worlds that ship. */
  readonly demos: readonly string[];
  readonly keys: readonly Binding[];
  readonly palette: Palette;
  readonly mouse: boolean;
  readonly cacheDir: string;
  readonly editor: string;
  /** Crashes after the first frame, to see that the terminal comes back. */
  readonly crash: boolean;
}

/** Runs the UI until it is left; gives the exit code. Throws UserError before the terminal is touched. */
export async function runTui(options: TuiOptions): Promise<number> {
  const { world } = options;
  const open = world === undefined ? undefined : openWorldOf(new Sources(world));
  const screen = new Screen(options.stdout);
  let memory = readMemory(options.cacheDir);
  const store = new Store(firstState(options, open, screen, memory));
  return await new Promise<number>((resolve) => {
    let ended = false;
    const reader = new KeyReader();
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        crashed(error);
      }
    };
    const terminal = new Terminal(options, options.mouse, reader, (events) =>
      guarded(() => session.input(events)),
    );
    const end = (code: number): void => {
      if (ended) return;
      ended = true;
      screen.drawing = false;
      session.stop();
      terminal.leave();
      for (const [signal, listener] of Object.entries(signals)) process.off(signal, listener);
      process.off("uncaughtException", crashed);
      options.stdout.off("resize", onResize);
      instance.unmount();
      resolve(code);
    };
    const crashed = (error: unknown): void => {
      end(70);
      const file = writeCrash(options.cacheDir, error);
      const what = error instanceof Error ? error.message : String(error);
      options.err(
        `hopwise: internal error: ${what}\n${file === undefined ? "" : `crash file: ${file}\n`}This is a bug in hopwise, not in your input.\n`,
      );
    };
    const session = new Session({
      store,
      screen,
      terminal,
      outside: options.outside,
      remember: (job) => {
        const next = remembered(memory, job, store.get());
        if (next !== memory) writeMemory(options.cacheDir, next);
        memory = next;
      },
      cacheDir: options.cacheDir,
      editor: options.editor,
      quit: end,
    });
    const onResize = (): void => guarded(() => session.resize());
    const signals: Readonly<Record<string, () => void>> = {
      SIGTERM: () => end(143),
      SIGHUP: () => end(129),
      SIGINT: () => end(130),
      SIGCONT: () => guarded(() => session.resume()),
    };
    for (const [signal, listener] of Object.entries(signals)) process.on(signal, listener);
    process.on("uncaughtException", crashed);
    options.stdout.on("resize", onResize);
    terminal.enter();
    // In its debug mode Ink hands over each frame whole, without codes of its own, and draws whatever CI says. Our rows
    // are laid out to the column: in its mode for screen readers Ink joins them, and does not take every cell apart.
    const instance = render(<Frame state={store.get()} />, {
      stdout: screen as unknown as NodeJS.WriteStream,
      stdin: options.stdin,
      debug: true,
      isScreenReaderEnabled: true,
      exitOnCtrlC: false,
      patchConsole: false,
    });
    // Drawn at once, not when React finds time: a key is on the terminal before the next one is read.
    store.onChange((state) => instance.rerender(<Frame state={state} />));
    instance.waitUntilExit().catch(crashed);
    if (open !== undefined && options.replay !== undefined)
      session.start({ kind: "replay", words: options.replay });
    else if (open !== undefined && options.trace === undefined) session.start({ kind: "world" });
    if (options.crash) setTimeout(() => crashed(new Error("HOPWISE_CRASH asked for this")), 300);
  });
}

function firstState(
  options: TuiOptions,
  open: OpenWorld | undefined,
  screen: Screen,
  memory: Memory,
): UiState {
  const { palette, keys, demos, trace } = options;
  const empty = initialState(screen.size, palette, keys);
  const worlds = [...new Set([...demos, ...memory.worlds])];
  const state: UiState = {
    ...empty,
    world: open,
    worlds,
    screens: [],
    typed: { ...empty.typed, command: memory.traces.map((words) => `trace ${words}`) },
  };
  if (open === undefined) return withWorlds(state, worlds);
  if (trace === undefined) return withWorld(state, open, []);
  const traced = withNewTrace(state, traceWords(open, trace));
  return { ...traced, message: traced.message ?? { kind: "note", text: worldSummary(open) } };
}
