import { writeFileSync } from "node:fs";
import { UserError } from "../base/errors.js";
import { safeText } from "../base/safe-text.js";
import type { ReplayedPacket } from "../core/replay-recording.js";
import { Replay } from "../lab/replay.js";
import { loadWhatIf } from "../lab/what-if/what-if.js";
import { type Filter, parseFilter } from "../view/filter.js";
import { traceJson } from "../view/json.js";
import { replayFilterRow } from "../view/replay-filter.js";
import { flowText, replayRow, type ReplayRow } from "../view/replay-row.js";
import {
  formatReplay,
  type ReplayCount,
  replayJson,
  replayRowJson,
  rowText,
  timeText,
} from "../view/replay-text.js";
import { formatTrace } from "../view/text.js";
import { viewOf } from "../view/trace-view.js";
import type { Capture } from "../wire/capture.js";
import { readCapture } from "../wire/read-capture.js";
import type { ReplayOptions } from "./commands/replay.js";
import { readBytes, readWorlds } from "./files.js";
import { whatIf, worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

/** `hopwise replay CAPTURE`: what becomes of each captured packet. Exit 0 all got through, 1 some did not or differ, 3 not certain. */
export function replayCommand(path: string, options: ReplayOptions, streams: Streams): number {
  const filter = options.filter === undefined ? undefined : parseFilter(options.filter);
  const { file, bytes } = readBytes(path);
  const capture = readCapture(file, bytes);
  const paths = worldPaths(options.world);
  const changes = { patches: readWorlds(options.patch ?? []), set: [], without: [] };
  const world = loadWhatIf(readWorlds(paths), paths.join(" "), changes, {
    addresses: options.addr ?? [],
  });
  const one = options.packet;
  if (one !== undefined && one > capture.packets.length)
    throw new UserError("PACKET_MISSING", `there is no packet ${one} in ${file}`, {
      help: `it has packets 1 to ${capture.packets.length}`,
    });
  const replay = new Replay(world, capture, {
    at: options.at ?? [],
    all: options.all ?? one !== undefined,
    seed: options.seed,
  });
  const output = new Output(options, streams);
  if (one !== undefined) return onePacket(replay, one, output, options);
  const counted = countRows(replay, capture, filter, options);
  for (const note of replay.notes) streams.err(`note: ${safeText(note)}\n`);
  print(counted, file, output, options);
  return exitCode(counted.rows);
}

function countRows(
  replay: Replay,
  capture: Capture,
  filter: Filter | undefined,
  { all = false, verbose = false }: ReplayOptions,
): ReplayCount {
  const rows: ReplayRow[] = [];
  let hidden = 0;
  for (const packet of replay.packets()) {
    const view = packet.result.kind === "sent" ? viewOf(packet.result.recording) : undefined;
    const row = replayRow(packet, view);
    // Without --all the question is what becomes of each flow.
    if (!all && !verbose && row.verdict === "AS-CAPTURED") continue;
    if (filter?.matches(replayFilterRow(row, view)) === false) hidden++;
    else rows.push(withoutEvents(row));
  }
  return { read: capture.packets.length, all, rows, hidden };
}

/** What a line needs: the events of a long capture are not kept. */
function withoutEvents(row: ReplayRow): ReplayRow {
  const { packet } = row;
  const { result } = packet;
  if (result.kind !== "sent") return row;
  const recording = { ...result.recording, events: [] };
  return { ...row, packet: { ...packet, result: { ...result, recording } } };
}

function print(count: ReplayCount, file: string, output: Output, options: ReplayOptions): void {
  switch (options.json === true ? "json" : options.output) {
    case "json":
      return output.document(`${JSON.stringify(replayJson(count, file), undefined, 2)}\n`);
    case "jsonl":
      return output.document(
        count.rows.map((row) => `${JSON.stringify(replayRowJson(row))}\n`).join(""),
      );
    default: {
      const text = formatReplay(count, { verbose: options.verbose ?? false });
      output.text(options.quiet === true ? `${text.trimEnd().split("\n").at(-1) ?? ""}\n` : text);
    }
  }
}

/** The trace of one packet; those before it went through the same world. */
function onePacket(replay: Replay, number: number, output: Output, options: ReplayOptions): number {
  let found: ReplayedPacket | undefined;
  for (const packet of replay.packets()) {
    if (packet.number < number) continue;
    found = packet;
    break;
  }
  if (found === undefined) return 3;
  const view = found.result.kind === "sent" ? viewOf(found.result.recording) : undefined;
  const row = replayRow(found, view);
  if (options.json === true || options.output !== "text") {
    const trace = view === undefined ? {} : { trace: traceJson(view) };
    output.document(`${JSON.stringify({ ...replayRowJson(row), ...trace }, undefined, 2)}\n`);
    return row.exit;
  }
  const heading = `packet ${number}   ${timeText(found.time)} s   ${flowText(found.frame)}`;
  const steps =
    view === undefined ? "" : formatTrace(view, { all: options.verbose ?? false, captured: true });
  const end =
    view === undefined || row.differences.length > 0 ? `${row.mark} ${rowText(row)}\n` : "";
  output.text(`${safeText(heading)}\n${steps}${safeText(end.trimEnd())}${end === "" ? "" : "\n"}`);
  return row.exit;
}

function exitCode(rows: readonly ReplayRow[]): number {
  if (rows.some(({ exit }) => exit === 1)) return 1;
  return rows.some(({ exit }) => exit === 3) ? 3 : 0;
}

/** Where the answer goes. A world that was changed for it is said first. */
class Output {
  readonly #options: ReplayOptions;
  readonly #streams: Streams;

  constructor(options: ReplayOptions, streams: Streams) {
    this.#options = options;
    this.#streams = streams;
  }

  text(content: string): void {
    this.#write(whatIf(this.#options.patch) + content);
  }

  document(content: string): void {
    const heading = whatIf(this.#options.patch);
    if (heading !== "") this.#streams.err(heading);
    this.#write(content);
  }

  #write(content: string): void {
    const { out } = this.#options;
    if (out === undefined) this.#streams.out(content);
    else writeFileSync(out, content);
  }
}
