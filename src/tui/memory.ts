import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { currentTrace, type Job, type UiState } from "./ui-state.js";
import { commandLineOf } from "./request-words.js";

/** What the screen remembers from one session to the next. */
export interface Memory {
  /** Worlds that were opened, the newest last: `./dump`, `a.yaml b.yaml`. */
  readonly worlds: readonly string[];
  /** Traces that were made, the newest last: `shop/web-0 shop/api:80`. */
  readonly traces: readonly string[];
}

const KEPT = 20;
const NOTHING: Memory = { worlds: [], traces: [] };

/** What earlier sessions left; nothing where that cannot be read. */
export function readMemory(cacheDir: string): Memory {
  try {
    const value: unknown = JSON.parse(readFileSync(fileIn(cacheDir), "utf8"));
    if (typeof value !== "object" || value === null) return NOTHING;
    return { worlds: textsOf(value, "worlds"), traces: textsOf(value, "traces") };
  } catch {
    return NOTHING;
  }
}

/** Writes it for the next session. A folder that cannot be written is no reason to stop. */
export function writeMemory(cacheDir: string, memory: Memory): void {
  try {
    mkdirSync(cacheDir, { recursive: true });
    writeFileSync(fileIn(cacheDir), `${JSON.stringify(memory)}\n`);
  } catch {
    return;
  }
}

/** The memory after a job was done. */
export function remembered(memory: Memory, job: Job, state: UiState): Memory {
  if (job.kind === "open" && !job.paths.some((path) => path.startsWith("demo:")))
    return { ...memory, worlds: added(memory.worlds, job.paths.join(" ")) };
  if (job.kind !== "trace") return memory;
  const words = commandLineOf(currentTrace(state)?.model.request);
  return words === "" ? memory : { ...memory, traces: added(memory.traces, words) };
}

function added(list: readonly string[], entry: string): readonly string[] {
  return [...list.filter((one) => one !== entry), entry].slice(-KEPT);
}

function fileIn(cacheDir: string): string {
  return join(cacheDir, "recent.json");
}

function textsOf(value: object, key: string): readonly string[] {
  const list: unknown = Object.entries(value).find(([name]) => name === key)?.[1];
  return Array.isArray(list)
    ? list.filter((one): one is string => typeof one === "string" && one.length < 1000).slice(-KEPT)
    : [];
}
