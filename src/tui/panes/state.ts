import type { StateEntry, StateKind } from "../../view/history.js";
import { type Line, wrap } from "../style.js";
import type { TraceModel } from "../trace-model.js";

const TITLES: readonly (readonly [StateKind, string])[] = [
  ["conntrack", "conntrack"],
  ["fdb", "bridge fdb"],
  ["neighbour", "neighbours"],
];

/** What the step's node remembers right after it: `~` for what this trace changed, `<` for what this very step did. */
export function stateLines(
  model: TraceModel,
  at: number,
  width: number,
  changedOnly: boolean,
): readonly Line[] {
  const step = model.steps[at];
  if (step === undefined) return ["no packet was sent"];
  const { all, changed, sinceStart } = model.state(at);
  const shown = changedOnly ? changed : all;
  const lines: Line[] = [];
  for (const [kind, title] of TITLES) {
    const entries = shown.filter((entry) => entry.kind === kind);
    if (entries.length === 0) continue;
    lines.push([{ text: `${title} on ${step.ns} after this step`, tone: "title" }]);
    // What this trace changed comes first.
    const ordered = [
      ...entries.filter((entry) => sinceStart.has(keyOf(entry))),
      ...entries.filter((entry) => !sinceStart.has(keyOf(entry))),
    ];
    for (const entry of ordered)
      lines.push(
        ...entryLines(entry, width, sinceStart.has(keyOf(entry)), changed.includes(entry)),
      );
  }
  const { event } = step;
  if (event.kind === "route" && event.text !== "")
    lines.push(
      [{ text: `route used by this step`, tone: "title" }],
      ...wrap(`  ${event.text}`, width, "    "),
    );
  if (lines.length === 0)
    lines.push(
      changedOnly
        ? "nothing changed in this step (S: everything)"
        : `${step.ns} remembers nothing of connections, ports or neighbours yet`,
    );
  return [
    ...lines,
    `mark 0x${step.event.mark.toString(16)}${step.dev === undefined ? "" : `   dev ${step.dev}`}   s: only this step's changes  S: all`,
  ];
}

export function keyOf({ kind, key }: StateEntry): string {
  return `${kind} ${key}`;
}

function entryLines(
  { lines }: StateEntry,
  width: number,
  byTrace: boolean,
  now: boolean,
): readonly Line[] {
  const [first = "", ...rest] = lines;
  const tone = byTrace ? "state" : undefined;
  return [
    [{ text: `${byTrace ? "~" : " "} ${first}`, tone }, now ? "  < this step" : ""],
    ...rest.flatMap((line) => wrap(`  ${line}`, width, "      ")),
  ];
}
