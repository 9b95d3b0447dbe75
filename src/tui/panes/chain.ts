import type { ChainRow, ChainView } from "../../view/chain-view.js";
import { placeText } from "../../view/text.js";
import { type Line, wrap } from "../style.js";
import type { TraceModel } from "../trace-model.js";

/** The chain of the step's rule: how the packet came there, each rule with counters and what it said, who made it. */
export function chainLines(model: TraceModel, at: number, width: number): readonly Line[] {
  const chain = model.chain(at);
  if (chain !== undefined) return linesOf(model, chain, width);
  const last = lastChain(model, at);
  if (last === undefined) return ["this step is no rule, and no chain was walked before it"];
  const step = model.steps[last];
  return [
    `this step is no rule; the last chain, at step ${step?.n ?? 0}:`,
    ...linesOf(model, model.chain(last), width),
  ];
}

/** The row of the rule at the step, for scrolling it into view. */
export function chainFocus(lines: readonly Line[]): number {
  return lines.findIndex(
    (line) =>
      typeof line !== "string" && typeof line[0] === "object" && line[0].text.startsWith("> "),
  );
}

function lastChain(model: TraceModel, at: number): number | undefined {
  for (let index = at - 1; index >= 0; index--) {
    const kind = model.steps[index]?.event.kind;
    if ((kind === "rule" || kind === "policy") && model.steps[index]?.leg === model.steps[at]?.leg)
      return index;
  }
  return undefined;
}

function linesOf(model: TraceModel, chain: ChainView | undefined, width: number): readonly Line[] {
  if (chain === undefined) return [];
  const { from, to } = around(chain);
  const rows = chain.rows(from, to);
  const counters = rows.reduce((most, row) => Math.max(most, packetsText(row).length), 8);
  const count = `${chain.count} ${chain.count === 1 ? "rule" : "rules"}`;
  return [
    [{ text: `${chain.table} ${chain.chain} on ${chain.ns}`, tone: "title" }, `   ${count}`],
    ...(chain.calls.length === 0 ? [] : wrap(`from ${chain.calls.join(" > ")}`, width, "     ")),
    [{ text: `   #  ${"PKTS".padEnd(counters)}  RULE`, tone: "title" }],
    ...(from > 0 ? [`      ${from} rules before`] : []),
    ...rows.flatMap((row) => rowLines(model, row, counters, width)),
    ...(to < chain.count ? [`      ${chain.count - to} rules after`] : []),
  ];
}

/** How many rules of a long chain are told before and after the one that the step is about. */
const NEAR = 60;

/** The rules around the step's own; of a long chain the others are only counted. */
function around({ count, here = 0 }: ChainView): { readonly from: number; readonly to: number } {
  if (count <= 2 * NEAR + 1) return { from: 0, to: count };
  return { from: Math.max(0, here - NEAR), to: Math.min(count, here + NEAR + 1) };
}

function rowLines(
  model: TraceModel,
  row: ChainRow,
  counters: number,
  width: number,
): readonly Line[] {
  const indent = " ".repeat(6 + counters + 2);
  const text = row.text.replace(/^-A \S+ ?/, "");
  const [first = "", ...rest] = wrap(
    text === "" ? "(every packet)" : text,
    Math.max(20, width - indent.length),
  );
  const head = `${row.here ? "> " : "  "}${String(row.number).padStart(2)}  ${packetsText(row).padEnd(counters)}  `;
  const tone = row.here ? "selected" : undefined;
  const verdict =
    row.verdict === "match"
      ? `${"match".padEnd(counters)}  ${made(model, row)}`
      : row.failed === undefined
        ? row.verdict
        : `${row.verdict.padEnd(counters)}  ${row.failed}`;
  return [
    [{ text: head + first, tone }],
    ...rest.map((line) => indent + line),
    ...(row.verdict === "not reached"
      ? [`      ${"not reached".padEnd(counters)}`]
      : wrap(`      ${verdict}`, width, indent)),
  ];
}

function packetsText({ packets: [before, after] }: ChainRow): string {
  return before === after ? String(after) : `${before} => ${after}`;
}

function made(model: TraceModel, row: ChainRow): string {
  if (row.place === undefined) return "";
  const maker = model.view.recording.makers.get(row.place.file);
  const origin = maker?.origins.get(row.place.line);
  return `from ${placeText(row.place)}${maker === undefined ? "" : `, ${maker.name}`}${origin === undefined ? "" : `, ${origin}`}`;
}
