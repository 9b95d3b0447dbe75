import type { HeaderRow } from "../../view/bytes.js";
import { type Line, type Span } from "../style.js";
import type { TraceModel } from "../trace-model.js";

/** Before and after of every field: `*` on what changed, `=` for what did not. */
export function headersLines(
  model: TraceModel,
  at: number,
  width: number,
  selected: number | undefined,
): readonly Line[] {
  const rows = model.headers(at);
  return rows.length === 0 ? ["no packet"] : headerTable(rows, width, selected);
}

export function headerTable(
  rows: readonly HeaderRow[],
  width: number,
  selected: number | undefined,
): readonly Line[] {
  const name = Math.max(12, ...rows.map((row) => row.name.length));
  const value = Math.max(8, Math.min(Math.max(17, Math.floor((width - name - 4) / 2)), 20));
  return [
    [{ text: `${"FIELD".padEnd(name)}   ${"BEFORE".padEnd(value)} AFTER`, tone: "title" }],
    ...rows.map((row, index): readonly Span[] => {
      const tone = index === selected ? "selected" : row.changed ? "changed" : undefined;
      return [
        {
          text: `${row.name.padEnd(name)} ${row.changed ? "*" : " "} ${(row.before ?? "").padEnd(value)} ${row.changed ? row.after : "="}`,
          tone,
        },
      ];
    }),
  ];
}
