import type { Place } from "../base/errors.js";
import { type Line, plain, type Span, type Tone, wrap } from "./style.js";
import type { Job } from "./ui-state.js";

/** One thing of a list: a line, what is told below it, and what Enter does. */
export interface Item {
  readonly head: Line;
  readonly details: readonly Detail[];
  readonly action: ItemAction | undefined;
  /** What the command line calls it, for traces from and to it. */
  readonly name?: string | undefined;
}

/** A line below, as wide as there is room: it is broken between words. */
export interface Detail {
  readonly text: string;
  /** Columns before it. */
  readonly indent: number;
  readonly tone?: Tone | undefined;
}

export type ItemAction = Job | { readonly kind: "source"; readonly place: Place };

export function item(head: Line, action?: ItemAction, details: readonly Detail[] = []): Item {
  return { head, details, action };
}

/** A line between items that is there to be read. */
export function heading(text: string): Item {
  return { head: [{ text, tone: "title" }], details: [], action: undefined };
}

/** Items as lines of at most `width` columns, and which of them are those of the selected one. */
export function itemLines(
  items: readonly Item[],
  selected: number,
  width: number,
): { readonly lines: readonly Line[]; readonly first: number; readonly last: number } {
  const lines: Line[] = [];
  let first = 0;
  let last = 0;
  items.forEach(({ head, details }, index) => {
    const here = index === selected;
    if (here) first = lines.length;
    lines.push(...headLines(head, here, width));
    for (const { text, indent, tone } of details)
      for (const line of detailLines(text, width, indent)) lines.push([{ text: line, tone }]);
    if (here) last = lines.length - 1;
  });
  return { lines, first, last };
}

/** The selected head has one tone, so that it is seen in one colour too. */
function headLines(head: Line, here: boolean, width: number): readonly Line[] {
  const text = plain(head);
  if (text.length + 2 <= width || text === "") {
    const spans: readonly (string | Span)[] = typeof head === "string" ? [head] : head;
    return [here ? [{ text: `> ${text}`, tone: "selected" }] : ["  ", ...spans]];
  }
  const [first = "", ...rest] = wrap(text, width - 2, "    ");
  const tone = here ? ("selected" as const) : typeof head === "string" ? undefined : toneOf(head);
  return [
    [{ text: `${here ? "> " : "  "}${first}`, tone }],
    ...rest.map((line): Line => [{ text: `  ${line}`, tone }]),
  ];
}

function toneOf(head: readonly (string | Span)[]): Tone | undefined {
  return head.map((part) => (typeof part === "string" ? undefined : part.tone)).find(Boolean);
}

/** Text keeps the spaces it begins with: a patch is shown as it is. */
function detailLines(text: string, width: number, indent: number): readonly string[] {
  const lead = " ".repeat(indent);
  const own = /^\+? */.exec(text)?.[0].length ?? 0;
  return wrap(lead + text, width, lead + " ".repeat(own + 2));
}
