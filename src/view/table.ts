import { safeText } from "../base/safe-text.js";

/** Rows under a header, columns two spaces apart, as kubectl prints them. Cells are made safe for a terminal. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const safe = [header, ...rows].map((row) => row.map(safeText));
  const widths = header.map((_, column) =>
    Math.max(...safe.map((row) => (row[column] ?? "").length)),
  );
  return safe
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}
