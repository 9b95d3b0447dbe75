import { safeText } from "../base/safe-text.js";
import { destinationOf } from "./fields.js";
import { traceJson } from "./json.js";
import { type Verdict, verdictName } from "./outcome.js";
import { deciderText, formatTrace } from "./text.js";
import type { TraceView } from "./trace-view.js";

/** One way that chance may take a request. */
export interface BranchView {
  /** 0..1 */
  readonly chance: number;
  readonly view: TraceView;
}

/** All ways of a request; `rest` is the chance of those that were not looked at. */
export interface BranchesView {
  readonly branches: readonly BranchView[];
  readonly rest: number;
}

/** One line for each way: its chance, where it leads, the verdict and what decided; with `all`, each way's trace below. */
export function formatBranches(
  { branches, rest }: BranchesView,
  { all }: { readonly all: boolean },
): string {
  const [first] = branches;
  if (first === undefined) return "";
  const rows = branches.map(({ chance, view }) => ({
    chance: percent(chance),
    to: targetOf(view),
    view,
  }));
  const width = Math.max(2, ...rows.map(({ to }) => to.length));
  const { request, seed } = first.view.recording;
  const ways =
    branches.length === 1 ? "1 way, nothing is left to chance" : `${branches.length} ways`;
  const lines = [
    `${request.source} -> ${request.destination}   ${ways}, seed ${seed}`,
    `   CHANCE  ${"TO".padEnd(width)}  VERDICT`,
    ...rows.map(({ chance, to, view }) =>
      `${chance.padStart(9)}  ${to.padEnd(width)}  ${verdictText(view)}`.trimEnd(),
    ),
    ...(rest > 0
      ? [`${percent(rest).padStart(9)}  not looked at: there are more ways than that`]
      : []),
  ];
  const traces = all
    ? rows.map(
        ({ view }, index) =>
          `\n-- way ${index + 1} of ${rows.length}, ${percent(branches[index]?.chance ?? 0)}\n${formatTrace(view, { all: false })}`,
      )
    : [];
  return `${lines.map(safeText).join("\n")}\n${traces.join("")}`;
}

/** The same for `-o json`, with each way's whole trace. */
export function branchesJson({ branches, rest }: BranchesView): object {
  return {
    v: 1,
    kind: "Branches",
    exit: branchesExit(branches),
    rest,
    branches: branches.map(({ chance, view }) => ({
      chance,
      to: targetOf(view),
      trace: traceJson(view),
    })),
  };
}

/** 3 when the answer of some way is not certain, else 1 when some way says no, else 0. */
export function branchesExit(branches: readonly BranchView[]): 0 | 1 | 3 {
  const exits = branches.map(({ view: { verdict } }) => verdict.exit);
  return exits.includes(3) ? 3 : exits.includes(1) ? 1 : 0;
}

/** The pod or host that the request's packet was last on its way to, with address and port. */
function targetOf({ conversation, recording }: TraceView): string {
  const frame = conversation.out?.events.at(-1)?.frame;
  if (frame === undefined) return recording.request.destination;
  const to = destinationOf(frame);
  const name = recording.names.get(to.replace(/:\d+$/, ""));
  return name === undefined ? to : `${name} ${to}`;
}

function verdictText(view: TraceView): string {
  const { verdict } = view;
  const mark = verdict.exit === 0 ? "ok" : verdict.exit === 3 ? "? " : "! ";
  const why = becauseOf(view, verdict);
  return `${mark} ${verdictName(verdict)}${why === "" ? "" : `  ${why}`}`;
}

function becauseOf(view: TraceView, verdict: Verdict): string {
  return verdict.exit === 0 ? "" : deciderText(verdict, view.recording);
}

/** `50%`, `33.3%`, `0.01%`. */
function percent(chance: number): string {
  const value = chance * 100;
  const digits = value >= 10 ? 1 : value >= 0.1 ? 2 : 4;
  return `${Number(value.toFixed(digits))}%`;
}
