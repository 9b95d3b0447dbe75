import type { Place } from "../base/errors.js";
import type { ShowKind, Table } from "../lab/show.js";
import type { ScreenState } from "./ui-state.js";

type TableScreen = Extract<ScreenState, { kind: "table" }>;

/** A tool's text as a table of one column. */
export function tableOfText(text: string): Table {
  return {
    header: [],
    rows: text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => [line]),
  };
}

/** The rows that the screen's filter leaves. */
export function tableRows({ table, filter }: TableScreen): readonly (readonly string[])[] {
  const wanted = filter.toLowerCase();
  return wanted === ""
    ? table.rows
    : table.rows.filter((row) => row.join(" ").toLowerCase().includes(wanted));
}

/** Where a row's object stands: its FROM column. */
export function placeOfRow(
  { header }: Table,
  row: readonly string[] | undefined,
): Place | undefined {
  const match = /^(.+):(\d+)$/.exec(row?.[header.indexOf("FROM")] ?? "");
  return match === null ? undefined : { file: match[1] ?? "", line: Number(match[2]), column: 1 };
}

/** What the command line calls a row's object. */
export function traceNameOf(
  show: ShowKind,
  row: readonly string[] | undefined,
): string | undefined {
  if (row === undefined) return undefined;
  const [first = "", second = "", third = ""] = row;
  switch (show) {
    case "nodes":
      return first;
    case "pods":
      return `${first}/${second}`;
    case "services":
      return `${first}/${second}`;
    case "ipam":
    case "dns":
      return third;
    default:
      return undefined;
  }
}
