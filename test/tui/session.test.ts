import { EventEmitter } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { KeyReader } from "../../src/tui/keys.js";
import { readMemory, remembered, writeMemory } from "../../src/tui/memory.js";
import { Screen } from "../../src/tui/screen.js";
import { Session } from "../../src/tui/session.js";
import { Store } from "../../src/tui/store.js";
import { Terminal } from "../../src/tui/terminal.js";
import { topScreen, type UiState } from "../../src/tui/ui-state.js";
import type { Outside } from "../../src/tui/jobs.js";
import { afterJob, demoTrace, outside, screenOf } from "./shop.js";

const start = screenOf(demoTrace());

/** A session on a terminal that is only written to, and every state that it showed. */
function sessionFrom(state: UiState, cacheDir: string, from: Outside = outside) {
  const store = new Store(state);
  const shown: UiState[] = [];
  store.onChange((next) => shown.push(next));
  const stdout = Object.assign(new EventEmitter(), { columns: 80, rows: 24, write: () => true });
  const screen = new Screen(stdout);
  const reader = new KeyReader();
  const terminal = new Terminal(
    {
      stdin: new EventEmitter() as unknown as NodeJS.ReadStream,
      stdout: stdout as unknown as NodeJS.WriteStream,
    },
    false,
    reader,
    () => undefined,
  );
  const codes: number[] = [];
  const session = new Session({
    store,
    screen,
    terminal,
    outside: from,
    remember: () => undefined,
    cacheDir,
    editor: "true",
    quit: (code) => codes.push(code),
  });
  const type = (text: string): void => session.input([...reader.feed(text), ...reader.flush()]);
  return { store, shown, session, type, codes, reader };
}

const rest = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
};

describe("a long job", () => {
  let cacheDir = "";
  beforeEach(() => {
    cacheDir = mkdtempSync(join(tmpdir(), "hopwise-session-"));
  });
  afterEach(() => rmSync(cacheDir, { recursive: true }));

  it("says what it does before it begins, and keys that were pressed meanwhile come after it", async () => {
    const { store, shown, type } = sessionFrom(start, cacheDir);
    type(":trace shop/web-0 shop/api:80\r");
    expect(store.get().working).toBe("sending shop/web-0 shop/api:80");
    expect(store.get().traces).toHaveLength(1);
    type("jj");
    await rest();
    const { traces, current, working } = store.get();
    expect(working).toBeUndefined();
    expect(traces).toHaveLength(2);
    expect(traces[current]?.at).toBe(2);
    expect(traces[0]?.at).toBe(0);
    expect(shown.some((state) => state.working !== undefined)).toBe(true);
  });

  it("is stopped by Esc, with nothing of it kept and no key that waited", async () => {
    const read: string[] = [];
    const { store, type } = sessionFrom(start, cacheDir, {
      ...outside,
      openWorld: (paths) => {
        read.push(...paths);
        return outside.openWorld(paths);
      },
    });
    type(":open demo:dns\r");
    expect(store.get().working).toBe("reading demo:dns");
    type("jj");
    type("\u001b");
    expect(store.get().message?.text).toBe("stopped: reading demo:dns");
    await rest();
    expect(read).toEqual([]);
    expect(topScreen(store.get()).kind).toBe("trace");
    expect(store.get().traces[0]?.at).toBe(0);
    type("j");
    expect(store.get().traces[0]?.at).toBe(1);
  });

  it("waits for a key that is half read: it may be the Esc that stops it", async () => {
    const { store, type, session, reader } = sessionFrom(start, cacheDir);
    type(":open demo:dns\r");
    reader.feed("\u001b");
    await rest();
    expect(store.get().working).toBe("reading demo:dns");
    session.input(reader.flush());
    await rest();
    expect(store.get().message?.text).toBe("stopped: reading demo:dns");
    expect(topScreen(store.get()).kind).toBe("trace");
  });

  it("gives way to Ctrl-c", () => {
    const { type, codes } = sessionFrom(start, cacheDir);
    type(":open demo:dns\r\u0003");
    expect(codes).toEqual([0]);
  });

  it("that goes wrong gives the line back with what is wrong in it", async () => {
    const { store, type } = sessionFrom(start, cacheDir);
    type(":trace shop/wbe-0 shop/api:80\r");
    await rest();
    const { bar, working } = store.get();
    expect(working).toBeUndefined();
    expect(bar?.text).toBe("trace shop/wbe-0 shop/api:80");
    expect(bar?.mistake).toContain("did you mean shop/web-0?");
    expect(topScreen(store.get()).kind).toBe("new-trace");
  });

  it("that a key asked for gives a message when it goes wrong", async () => {
    const { store, session } = sessionFrom(start, cacheDir, {
      ...outside,
      openWorld: () => {
        throw new UserError("WORLD_MISSING", "no file or folder");
      },
    });
    session.start({ kind: "open", paths: ["nowhere"] });
    await rest();
    expect(store.get().message).toEqual({ kind: "error", text: "no file or folder" });
  });
});

describe("what is remembered", () => {
  it("are the last traces and worlds; a file that is damaged is none", () => {
    const cacheDir = mkdtempSync(join(tmpdir(), "hopwise-memory-"));
    const state = afterJob(start, { kind: "trace", words: "shop/api-0 shop/web:80 --seed 7" });
    const opened = remembered(
      { worlds: [], traces: [] },
      { kind: "open", paths: ["./dump"] },
      start,
    );
    const memory = remembered(opened, { kind: "trace", words: "" }, state);
    writeMemory(cacheDir, memory);
    expect(readMemory(cacheDir)).toEqual({
      worlds: ["./dump"],
      traces: ["shop/api-0 shop/web:80 --seed 7"],
    });
    expect(readFileSync(join(cacheDir, "recent.json"), "utf8")).toContain("./dump");
    expect(readMemory("/nowhere")).toEqual({ worlds: [], traces: [] });
    rmSync(cacheDir, { recursive: true });
  });
});
