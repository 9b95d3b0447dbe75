import type { Line, Span } from "../style.js";
import type { TraceModel } from "../trace-model.js";

export type ByteView = "hex" | "ascii" | "bits";

interface Dump {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** For each byte, the changed field it belongs to, if any. */
  readonly field: ReadonlyMap<number, string>;
  readonly selected: readonly [start: number, end: number] | undefined;
}

/** The frame before the step; what changed stands in `[ ]`, with the new bytes under it after `=>`. */
export function bytesLines(
  model: TraceModel,
  at: number,
  width: number,
  view: ByteView,
  selected: number | undefined,
): readonly Line[] {
  const { before, after } = model.bytes(at);
  const rows = model.headers(at);
  const changed = rows.filter((row) => row.changed);
  const field = new Map(
    changed.flatMap((row) =>
      Array.from({ length: row.length }, (_, index) => [row.start + index, row.name] as const),
    ),
  );
  const chosen = selected === undefined ? undefined : rows[selected];
  const dump: Dump = {
    before,
    after,
    field,
    selected: chosen === undefined ? undefined : [chosen.start, chosen.start + chosen.length],
  };
  const perRow = view === "bits" ? Math.max(1, Math.floor((width - 7) / 9)) : width >= 55 ? 16 : 8;
  const lines: Line[] = [];
  for (let start = 0; start < before.length; start += perRow) {
    const end = Math.min(before.length, start + perRow);
    lines.push(dumpRow(dump, dump.before, start, end, perRow, view, width));
    if ([...Array(end - start).keys()].some((index) => field.has(start + index)))
      lines.push(changeRow(dump, start, end, view));
  }
  return [
    ...lines,
    `${before.length} bytes; ${changed.length} fields, ${countChanged(dump)} bytes changed   b: hex, ascii, bits`,
  ];
}

function countChanged({ before, after, field }: Dump): number {
  return [...field.keys()].filter((index) => before[index] !== after[index]).length;
}

function dumpRow(
  dump: Dump,
  bytes: Uint8Array,
  start: number,
  end: number,
  perRow: number,
  view: ByteView,
  width: number,
): Line {
  const spans: Span[] = [{ text: `${start.toString(16).padStart(4, "0")} ` }];
  for (let index = start; index < end; index++) {
    spans.push({ text: separator(dump, index, start) });
    const chosen =
      dump.selected !== undefined && index >= dump.selected[0] && index < dump.selected[1];
    spans.push({
      text: show(bytes[index] ?? 0, view),
      tone: chosen || dump.field.has(index) ? "selected" : undefined,
    });
  }
  if (dump.field.has(end - 1) && dump.field.get(end) !== dump.field.get(end - 1))
    spans.push({ text: "]" });
  const room = view === "hex" && width >= 6 + perRow * 4 + 3;
  if (!room) return spans;
  const used = spans.reduce((sum, { text }) => sum + text.length, 0);
  return [
    ...spans,
    " ".repeat(Math.max(2, 7 + perRow * 3 - used)),
    printable(bytes.subarray(start, end)),
  ];
}

/** The new bytes of changed fields, under the old ones. */
function changeRow(dump: Dump, start: number, end: number, view: ByteView): Line {
  const spans: Span[] = [{ text: "  => " }];
  for (let index = start; index < end; index++) {
    const shown = show(dump.after[index] ?? 0, view);
    spans.push({ text: separator(dump, index, start) });
    spans.push(
      dump.field.has(index) ? { text: shown, tone: "changed" } : { text: " ".repeat(shown.length) },
    );
  }
  if (dump.field.has(end - 1) && dump.field.get(end) !== dump.field.get(end - 1))
    spans.push({ text: "]" });
  return spans;
}

/** Between two bytes: `[` before a changed field, `]` after it, `|` between two. */
function separator({ field }: Dump, index: number, start: number): string {
  const last = index === start ? undefined : field.get(index - 1);
  const here = field.get(index);
  if (index === start) return here !== undefined && field.get(index - 1) !== here ? "[" : " ";
  if (last === here) return " ";
  return last === undefined ? "[" : here === undefined ? "]" : "|";
}

function show(byte: number, view: ByteView): string {
  if (view === "bits") return byte.toString(2).padStart(8, "0");
  if (view === "ascii") return ` ${byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."}`;
  return byte.toString(16).padStart(2, "0");
}

function printable(bytes: Uint8Array): string {
  return [...bytes]
    .map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."))
    .join("");
}
