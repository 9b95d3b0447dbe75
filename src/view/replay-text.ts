import { counted } from "../base/counted.js";
import { safeText } from "../base/safe-text.js";
import { flowText, type ReplayRow } from "./replay-row.js";

/** What a replay came down to. */
export interface ReplayCount {
  /** Packets in the capture. */
  readonly read: number;
  /** Every packet was replayed, not only the first of each flow. */
  readonly all: boolean;
  readonly rows: readonly ReplayRow[];
  /** Rows that a filter left out. */
  readonly hidden: number;
}

export interface ReplayTextOptions {
  /** Also the rule that decided. */
  readonly verbose: boolean;
}

/** A replay as `hopwise replay` prints it: a line for each flow, or each packet, and what they come to. */
export function formatReplay(count: ReplayCount, { verbose }: ReplayTextOptions): string {
  const { rows: shown } = count;
  const flows = shown.map(({ packet }) => flowText(packet.frame));
  const flowWidth = Math.max(38, ...flows.map((flow) => flow.length + 2));
  const numberWidth = Math.max(3, ...shown.map(({ packet }) => String(packet.number).length));
  const times = shown.map(({ packet }) => timeText(packet.time));
  const timeWidth = Math.max(8, ...times.map((time) => time.length));
  const header = `${"PKT".padEnd(numberWidth)}   ${"TIME".padEnd(timeWidth)}  ${"FLOW".padEnd(flowWidth)}VERDICT`;
  const lines = shown.flatMap((row, index) => [
    `${String(row.packet.number).padStart(numberWidth)}   ${(times[index] ?? "").padStart(timeWidth)}  ${(flows[index] ?? "").padEnd(flowWidth)}${row.mark.padEnd(2)} ${rowText(row)}`.trimEnd(),
    ...(verbose && row.rule !== "" ? [`${" ".repeat(numberWidth + 3)}by ${row.rule}`] : []),
  ]);
  return `${[...(shown.length === 0 ? [] : [header]), ...lines, summary(count)].map(safeText).join("\n")}\n`;
}

/** `DENIED shop/db-0 ingress`. */
export function rowText({ verdict, where }: ReplayRow): string {
  return where === "" ? verdict : `${verdict} ${where}`;
}

/** Seconds from the first packet, to the microsecond. */
export function timeText(nanoseconds: number): string {
  return (nanoseconds / 1e9).toFixed(6);
}

function summary({ read, all, rows, hidden }: ReplayCount): string {
  const byVerdict = new Map<string, number>();
  for (const { verdict } of rows) {
    const word = verdict.toLowerCase().replaceAll("-", " ");
    byVerdict.set(word, (byVerdict.get(word) ?? 0) + 1);
  }
  const parts = [...byVerdict].map(([word, n]) => `${n} ${word}`).join(", ");
  const what = all ? "replayed" : rows.length === 1 ? "flow" : "flows";
  const left = hidden === 0 ? "" : `, ${hidden} left out by the filter`;
  const hint = all ? "" : "   (first packet of each flow; --all replays every packet)";
  return `${counted(read, "packet")} read, ${rows.length} ${what}${parts === "" ? "" : `: ${parts}`}${left}${hint}`;
}

/** The same for programs. */
export function replayJson({ read, all, rows, hidden }: ReplayCount, file: string): object {
  const exits = rows.map(({ exit }) => exit);
  return {
    v: 1,
    kind: "Replay",
    capture: file,
    packets: read,
    all,
    exit: exits.includes(1) ? 1 : exits.includes(3) ? 3 : 0,
    leftOut: hidden,
    rows: rows.map(replayRowJson),
  };
}

/** One row as an object. */
export function replayRowJson({
  packet,
  verdict,
  where,
  differences,
  rule,
  exit,
}: ReplayRow): object {
  const { number, time, point, frame, result } = packet;
  return {
    pkt: number,
    time: time / 1e9,
    at: point ?? null,
    flow: flowText(frame),
    as: result.kind === "sent" ? result.as : result.kind,
    by: result.kind === "seen" || result.kind === "contradicted" ? result.by : null,
    verdict,
    where,
    rule: rule === "" ? null : rule,
    differences: differences.map(({ field, from, to }) => ({ field, captured: from, world: to })),
    exit,
  };
}
