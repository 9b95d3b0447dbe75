import { safeText } from "../base/safe-text.js";
import { encodeFrame } from "../wire/frame.js";
import { pageScript, pageStyle } from "./html-page.js";
import { traceJson } from "./json.js";
import { markup } from "./markup.js";
import { sequenceOf } from "./sequence.js";
import type { Step } from "./steps.js";
import { formatSvg } from "./svg.js";
import { placeText, type TextOptions, traceParts } from "./text.js";
import type { TraceView } from "./trace-view.js";
import { reasonOf } from "./why.js";

/**
 * A trace as one page that asks for nothing: `-o html`. Every step is there without scripts; with them, ← and → go from
 * step to step and a word filters them. The trace as JSON is in the element `trace`.
 */
export function formatHtml(view: TraceView, options: TextOptions): string {
  const { heading, shown, ending } = traceParts(view, { ...options, width: undefined });
  const steps = options.filtered?.steps ?? view.steps;
  const sequence = sequenceOf(view, steps);
  const decisive = new Set(shown.map(({ n }) => n));
  const rows = steps.map((step, index) => stepRow(step, steps[index - 1], decisive.has(step.n)));
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">',
    `<title>${markup(sequence.title)}</title><style>${pageStyle}</style></head><body>`,
    `<h1>${markup(sequence.title)}</h1>`,
    `<pre>${markup(heading.join("\n"))}</pre>`,
    `<pre>${markup(ending.join("\n"))}</pre>`,
    '<p id="tools" hidden><label>filter <input id="filter"></label> <label><input type="checkbox" id="all"> all steps</label> <span id="count"></span></p>',
    `<ol id="steps">${rows.join("\n")}</ol>`,
    `<details><summary>The way between namespaces</summary>${formatSvg(sequence)}</details>`,
    `<script type="application/json" id="trace">${scriptText(traceJson(view))}</script>`,
    `<script>${pageScript}</script>`,
    "</body></html>",
    "",
  ].join("\n");
}

function stepRow(step: Step, before: Step | undefined, decisive: boolean): string {
  const { n, ns, dev, mark, effect, text, counter, changes, state } = step;
  const where = dev === undefined ? ns : `${ns} ${dev}`;
  const place = step.place === undefined ? "" : `   ${placeText(step.place)}`;
  const lines = [
    `WHY     ${reasonOf(step)}`,
    ...(text === undefined ? [] : [`RULE    ${text}${place}`]),
    ...(counter === undefined ? [] : [`PKTS    ${counter[0]} => ${counter[1]}`]),
    ...changes.map(({ field, from, to }) => `CHANGE  ${field.padEnd(14)} ${from} => ${to}`),
    ...state.map((one) => `STATE   ${one}`),
  ];
  const cells = [where, step.step, mark, effect].map(
    (cell) => `<td>${markup(safeText(cell))}</td>`,
  );
  const kinds = [decisive ? "d" : "r", ...(mark === "!" ? ["bad"] : mark === "ok" ? ["good"] : [])];
  return `<li value="${n}" class="${kinds.join(" ")}"><details><summary><table><tr>${cells.join("")}</tr></table></summary><pre>${markup(lines.map(safeText).join("\n"))}</pre><pre class="bytes">${hexRows(step, before)}</pre></details></li>`;
}

/** The frame's bytes, sixteen a row; those that differ from the step before are marked. */
function hexRows(step: Step, before: Step | undefined): string {
  const bytes = encodeFrame(step.frame);
  const old =
    before === undefined || before.packet !== step.packet ? bytes : encodeFrame(before.frame);
  const rows: string[] = [];
  for (let start = 0; start < bytes.length; start += 16) {
    const cells = Array.from(bytes.subarray(start, start + 16), (byte, at) => {
      const text = byte.toString(16).padStart(2, "0");
      return old[start + at] === byte ? text : `<mark>${text}</mark>`;
    });
    rows.push(`${start.toString(16).padStart(4, "0")}  ${cells.join(" ")}`);
  }
  return rows.join("\n");
}

/** JSON in which no text ends the element. */
function scriptText(document: object): string {
  return JSON.stringify(document).replaceAll("<", "\\u003c");
}
