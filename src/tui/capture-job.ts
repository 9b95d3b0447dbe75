import { UserError } from "../base/errors.js";
import { Replay, type ReplayRequest } from "../lab/replay.js";
import { ReplayLog } from "../view/replay-log.js";
import { readCapture } from "../wire/read-capture.js";
import { captureScreen } from "./capture-screen.js";
import type { Outside, Work } from "./jobs.js";
import { type OpenWorld, withPushed } from "./ui-state.js";

/** What `replay` was told on the command line: a file, and how. */
export interface ReplayWords {
  readonly path: string;
  readonly request: ReplayRequest;
}

/** Reads `FILE --at NODE:DEV [--first] [--seed N]`. Throws UserError. */
export function parseReplayWords(words: string): ReplayWords {
  const parts = words.trim().split(/\s+/);
  const at: string[] = [];
  let path: string | undefined;
  let seed = 1;
  let all = true;
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index] ?? "";
    if (part === "--first") all = false;
    else if (part === "--all") all = true;
    else if (part === "--at") at.push(needed(part, parts[++index]));
    else if (part === "--seed") seed = seedOf(needed(part, parts[++index]));
    else if (part.startsWith("--"))
      throw new UserError("USAGE", `no option ${part}`, { help: OPTIONS });
    else if (path === undefined) path = part;
    else throw new UserError("USAGE", `"${part}" is one word too many`);
  }
  if (path === undefined || path === "")
    throw new UserError("USAGE", "replay needs a capture file", { help: OPTIONS });
  return { path, request: { at, all, seed } };
}

const OPTIONS = "replay FILE --at NODE:DEVICE [--first] [--seed N]";

function needed(option: string, value: string | undefined): string {
  if (value === undefined)
    throw new UserError("USAGE", `${option} needs a value`, { help: OPTIONS });
  return value;
}

function seedOf(text: string): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value > 4_294_967_295)
    throw new UserError("USAGE", `"${text}" is no seed`);
  return value;
}

/** Replays a capture in pieces: `hopwise replay` with everything kept that can be looked into. */
export function* replayCapture(open: OpenWorld, words: string, outside: Outside): Work {
  const { path, request } = parseReplayWords(words);
  yield `reading ${path}`;
  const { file, bytes } = outside.readBytes(path);
  const capture = readCapture(file, bytes);
  yield `building ${open.name} for ${capture.packets.length} packets`;
  const replay = new Replay(open.world, capture, request);
  const log = new ReplayLog();
  for (const packet of replay.packets()) {
    log.add(packet);
    yield `replaying ${file}: packet ${packet.number} of ${capture.packets.length}`;
  }
  const [note] = replay.notes;
  return (state) => ({
    ...withPushed(state, captureScreen(open, `Capture ${file}`, log)),
    message: note === undefined ? undefined : { kind: "note", text: note },
  });
}
