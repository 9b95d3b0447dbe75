import { counted } from "../base/counted.js";
import type { Place } from "../base/errors.js";
import { safeText } from "../base/safe-text.js";
import type { MadeLine } from "../core/recording.js";
import { madeForText } from "./made.js";
import { verdictName } from "./outcome.js";
import type { Step } from "./steps.js";
import { deciderText, placeText } from "./text.js";
import type { TraceView } from "./trace-view.js";

/** An object that is not the same in two worlds. */
interface DiffedObject {
  readonly kind: string;
  readonly name: string;
  readonly change: "added" | "removed" | "changed";
  readonly place: Place | undefined;
  readonly fields: readonly {
    readonly path: string;
    readonly before: unknown;
    readonly after: unknown;
  }[];
}

interface DiffedLine {
  readonly table: string;
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly made: MadeLine | undefined;
}

interface DiffedRules {
  readonly nodes: readonly string[];
  readonly removed: readonly DiffedLine[];
  readonly added: readonly DiffedLine[];
}

/** What `hopwise diff` found. */
export interface WorldDiffView {
  readonly objects: readonly DiffedObject[] | undefined;
  readonly rules: {
    readonly changes: readonly DiffedRules[];
    readonly compared: number;
    readonly left: number;
  };
  /** Lines about pairs of pods, and how many pairs open and close. */
  readonly pairs: { readonly lines: readonly string[]; readonly changed: number } | undefined;
  readonly traces: { readonly before: TraceView; readonly after: TraceView } | undefined;
}

/** So many lines of each are shown, unless all are asked for. */
const SHOWN = { objects: 40, fields: 6, rules: 12, pairs: 20 };

/** What becomes of the request, then objects, pairs and rules, each with a heading. */
export function formatWorldDiff(diff: WorldDiffView, { all }: { readonly all: boolean }): string {
  const cut = (lines: readonly string[], most: number): readonly string[] =>
    all || lines.length <= most + 1
      ? lines
      : [...lines.slice(0, most), `  … and ${lines.length - most} more (-v shows them)`];
  const lines = [
    ...(diff.traces === undefined ? [] : traceLines(diff.traces.before, diff.traces.after)),
    ...objectLines(diff, all, cut),
    ...(diff.pairs === undefined
      ? []
      : diff.pairs.changed === 0
        ? ["PAIRS    NetworkPolicy allows the same in both"]
        : [
            `PAIRS    ${counted(diff.pairs.changed, "pair")} of pods by NetworkPolicy`,
            ...cut(
              diff.pairs.lines.map((line) => `  ${line}`),
              SHOWN.pairs,
            ),
          ]),
    ...ruleLines(diff, cut),
  ];
  return lines.map((line) => `${safeText(line)}\n`).join("");
}

/** The same for `--json`. */
export function worldDiffJson(diff: WorldDiffView): object {
  const { traces } = diff;
  const lineJson = ({ table, text, file, line, made }: DiffedLine): object => ({
    table,
    text,
    source: file === "" ? null : { file, line, column: 1 },
    made:
      made === undefined
        ? null
        : {
            by: made.by,
            why: made.why,
            for: made.objects.map((one) => ({
              kind: one.kind,
              name: one.name,
              source: one.place ?? null,
            })),
          },
  });
  return {
    v: 1,
    kind: "Diff",
    objects: (diff.objects ?? []).map(({ place, ...one }) => ({ ...one, source: place ?? null })),
    rules: diff.rules.changes.map(({ nodes, removed, added }) => ({
      nodes,
      removed: removed.map(lineJson),
      added: added.map(lineJson),
    })),
    nodesNotCompared: diff.rules.left,
    pairs: diff.pairs ?? null,
    request:
      traces === undefined
        ? null
        : {
            source: traces.before.recording.request.source,
            destination: traces.before.recording.request.destination,
            before: verdictJson(traces.before),
            after: verdictJson(traces.after),
            parts: partOf(traces.before, traces.after) ?? null,
          },
  };
}

function verdictJson(view: TraceView): object {
  return { verdict: verdictName(view.verdict), because: deciderText(view.verdict, view.recording) };
}

function objectLines(
  { objects }: WorldDiffView,
  all: boolean,
  cut: (lines: readonly string[], most: number) => readonly string[],
): readonly string[] {
  if (objects === undefined) return [];
  if (objects.length === 0) return ["OBJECTS  the same"];
  const count = (change: DiffedObject["change"]): number =>
    objects.filter((one) => one.change === change).length;
  const parts = (["added", "removed", "changed"] as const).flatMap((change) =>
    count(change) === 0 ? [] : [`${count(change)} ${change}`],
  );
  const signs = { added: "+", removed: "-", changed: "~" } as const;
  const lines = objects.flatMap(({ kind, name, change, place, fields }) => {
    const shown = all ? fields : fields.slice(0, SHOWN.fields);
    return [
      `  ${signs[change]} ${kind} ${name}${place === undefined ? "" : `   ${placeText(place)}`}`,
      ...shown.map(
        ({ path, before, after }) => `      ${path}: ${valueText(before)} => ${valueText(after)}`,
      ),
      ...(shown.length < fields.length
        ? [`      and ${counted(fields.length - shown.length, "more field")} (-v shows them)`]
        : []),
    ];
  });
  return [`OBJECTS  ${parts.join(", ")}`, ...cut(lines, SHOWN.objects)];
}

function ruleLines(
  { rules: { changes, compared, left } }: WorldDiffView,
  cut: (lines: readonly string[], most: number) => readonly string[],
): readonly string[] {
  const rest =
    left === 0
      ? []
      : [`  rules of ${compared} nodes were compared, those of ${left} others were not`];
  if (changes.length === 0) return ["RULES    the same", ...rest];
  return [
    ...changes.flatMap(({ nodes, removed, added }) => [
      `RULES    ${nodes.length > 1 ? "each of " : ""}${nodes.join(", ")}: ${added.length} added, ${removed.length} removed`,
      ...cut(
        [
          ...removed.map((line) => lineText("-", line)),
          ...added.map((line) => lineText("+", line)),
        ],
        SHOWN.rules,
      ),
    ]),
    ...rest,
  ];
}

function lineText(sign: "-" | "+", { table, text, made, file, line }: DiffedLine): string {
  const from =
    made === undefined || made.objects.length === 0
      ? file === ""
        ? ""
        : `   ${file}:${line}`
      : `   for ${made.objects.map(madeForText).join(", ")}`;
  return `  ${sign} ${table} ${text}${from}`;
}

/** The verdicts, and the first step that is not the same. */
function traceLines(before: TraceView, after: TraceView): readonly string[] {
  const { source, destination } = before.recording.request;
  const one = verdictLine(before);
  const other = verdictLine(after);
  const parts = partOf(before, after);
  const head = `TRACE    ${source} -> ${destination}`;
  if (parts === undefined && one === other) return [`${head}   the same: ${one}`];
  return [
    head,
    `  - ${one}`,
    `  + ${other}`,
    ...(parts === undefined
      ? []
      : [
          "  they part here:",
          `  - ${parts.before ?? "(nothing more)"}`,
          `  + ${parts.after ?? "(nothing more)"}`,
        ]),
  ];
}

function verdictLine({ verdict, recording }: TraceView): string {
  return [verdictName(verdict), verdict.exit === 0 ? "" : deciderText(verdict, recording)]
    .filter((part) => part !== "")
    .join("  ");
}

/** The first decisive steps that are not the same; undefined when all are. Numbers of rules, steps and marks may move. */
function partOf(
  before: TraceView,
  after: TraceView,
): { readonly before: string | undefined; readonly after: string | undefined } | undefined {
  const old = before.steps.filter(({ decisive }) => decisive);
  const fresh = after.steps.filter(({ decisive }) => decisive);
  for (let at = 0; at < Math.max(old.length, fresh.length); at++) {
    const [one, other] = [old[at], fresh[at]];
    if (one !== undefined && other !== undefined && meaningOf(one) === meaningOf(other)) continue;
    return { before: one && stepLine(one), after: other && stepLine(other) };
  }
  return undefined;
}

function meaningOf(step: Step): string {
  return `${step.ns} ${step.step.replace(/\[\d+\]$/, "")} ${step.effect.replaceAll(/\[\d+\]|0x[\da-f]+/g, "")}`;
}

function stepLine({ n, ns, dev, step, effect }: Step): string {
  return `step ${n}  ${ns}${dev === undefined ? "" : ` ${dev}`}  ${step}  ${effect}`;
}

function valueText(value: unknown): string {
  if (value === undefined || value === null) return "(not set)";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
