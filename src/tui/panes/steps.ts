import type { Mark, Step } from "../../view/steps.js";
import { shortenChains } from "../../view/shorten-chains.js";
import { cutWords, type Line, type Span, type Tone } from "../style.js";
import type { TraceModel, Widths } from "../trace-model.js";

const TONES: Readonly<Record<Mark, Tone | undefined>> = {
  "": undefined,
  "*": "changed",
  "~": "state",
  ok: "ok",
  "!": "bad",
  "?": "unknown",
};

export function toneOf(mark: Mark): Tone | undefined {
  return TONES[mark];
}

export interface StepsOptions {
  readonly width: number;
  readonly height: number;
  /** Indices of the steps that are shown, in order. */
  readonly visible: readonly number[];
  readonly at: number;
  /** Whether a row is one of those that a filter marks. */
  readonly marked: (index: number) => boolean;
  readonly letters: ReadonlyMap<number, string>;
  readonly find: string | undefined;
}

/** The window of rows around the time cursor, its header first. */
export function stepsLines(model: TraceModel, options: StepsOptions): readonly Line[] {
  const columns = columnsFor(model.widths, options.width);
  const rows = Math.max(1, options.height - 1);
  const from = windowStart(options.visible, options.at, rows);
  const shown = options.visible.slice(from, from + rows);
  return [
    headerLine(columns),
    ...shown.flatMap((index) => {
      const step = model.steps[index];
      return step === undefined
        ? []
        : [
            stepLine(
              step,
              columns,
              index === options.at,
              options.marked(index),
              options.letters.get(index),
              options.find,
            ),
          ];
    }),
  ];
}

/** Where the window starts so that the cursor stays away from its edges. Same input, same window: going back restores it. */
export function windowStart(visible: readonly number[], at: number, rows: number): number {
  const position = Math.max(0, visible.indexOf(at));
  const page = Math.floor(rows / 2);
  return Math.max(0, Math.min(position - page, visible.length - rows));
}

interface Columns {
  readonly number: number;
  /** 0 where node, device and hook are one column `WHERE`. */
  readonly ns: number;
  readonly dev: number;
  readonly hook: number;
  readonly where: number;
  readonly step: number;
  readonly effect: number;
}

function columnsFor(widths: Widths, width: number): Columns {
  const number = Math.max(2, widths.number);
  const left = width - number - 4;
  if (width >= 96) {
    const ns = Math.min(Math.max(4, widths.ns), 20);
    const dev = Math.min(Math.max(4, widths.dev), 14);
    const hook = Math.min(Math.max(5, widths.hook), 11);
    const rest = left - ns - dev - hook - 4;
    // Effects have addresses in them, which are not shortened; chain names are.
    const step = Math.min(Math.max(20, widths.step), Math.max(27, rest - 44));
    return { number, ns, dev, hook, where: 0, step, effect: rest - step };
  }
  const where = Math.min(widths.where, width >= 90 ? 24 : width >= 70 ? 21 : 12);
  const step = Math.min(
    widths.step,
    Math.max(width >= 70 ? 24 : 10, Math.floor((left - where - 2) / 2)),
  );
  return { number, ns: 0, dev: 0, hook: 0, where, step, effect: left - where - step - 2 };
}

function headerLine(columns: Columns): Line {
  const head = `  ${"#".padStart(columns.number)}  `;
  const places =
    columns.ns > 0
      ? `${"NODE".padEnd(columns.ns)} ${"DEV".padEnd(columns.dev)} ${"HOOK".padEnd(columns.hook)} `
      : `${"WHERE".padEnd(columns.where)} `;
  return [{ text: `${head}${places}${"STEP".padEnd(columns.step)} EFFECT`, tone: "title" }];
}

function stepLine(
  step: Step,
  columns: Columns,
  here: boolean,
  marked: boolean,
  letter: string | undefined,
  find: string | undefined,
): Line {
  const mark = step.mark === "ok" || step.mark === "" ? " " : step.mark;
  const number = String(step.n).padStart(columns.number);
  const tone = toneOf(step.mark);
  const sign = marked ? "+" : (letter ?? " ");
  const head = `${here ? ">" : " "}${sign}`;
  const middle = `${number}${mark} ${places(step, columns)}${fitStep(step.step, columns.step)} `;
  const spans: Span[] = [
    { text: `${head}${middle}`, tone: here ? "selected" : undefined },
    {
      text: effectText(step, columns.effect).padEnd(columns.effect),
      tone: here ? "selected" : tone,
    },
  ];
  if (
    !here &&
    find !== undefined &&
    find !== "" &&
    `${middle}${step.effect}`.toLowerCase().includes(find.toLowerCase())
  ) {
    return [{ text: head }, { text: middle, tone: "found" }, ...spans.slice(1)];
  }
  return spans;
}

function places({ ns, dev, hook }: Step, columns: Columns): string {
  if (columns.ns === 0)
    return `${fitName(`${ns}${dev === undefined ? "" : ` ${dev}`}`, columns.where)} `;
  return `${fitName(ns, columns.ns)} ${fitName(dev ?? "", columns.dev)} ${fitName((hook ?? "").toLowerCase(), columns.hook)} `;
}

/** A chain's name may be cut; the number of the rule in it may not. */
function fitStep(text: string, width: number): string {
  const short = shortenChains(text, width);
  if (short.length <= width) return short.padEnd(width);
  const number = /\[\d+\]$/.exec(short)?.[0] ?? "";
  return `${short.slice(0, Math.max(0, width - 2 - number.length)).replace(/\.+$/, "")}..${number}`.padEnd(
    width,
  );
}

function fitName(text: string, width: number): string {
  return text.length <= width ? text.padEnd(width) : `${text.slice(0, Math.max(0, width - 2))}..`;
}

/** A step's effect in the room there is: chain names are shortened first, then what the row says elsewhere; no address is cut. */
export function effectText(step: Step, width: number): string {
  const full =
    step.mark === "ok" ? `ok ${step.leg === "back" ? "REPLY " : ""}${step.effect}` : step.effect;
  const shorter = [
    (text: string): string => shortenChains(text, width),
    (text: string): string => text.replace(/^no match: /, "no match ").replace(/^packet has /, ""),
    (text: string): string =>
      text
        .replace(/(^| )(?:dst|src) \S+ => /g, "$1")
        .replace(/((?:eth|ip|tcp|udp)\.\w+) \S+ => /g, "$1 "),
    (text: string): string =>
      text.replace(/(mark \S+ => \S+),.*/, "$1").replace(/^return: (mark \S+),.*/, "return, $1"),
    (text: string): string =>
      text
        .replace(/\brandom (\S+) (>=|<=|<|>) /, "$1$2")
        .replace("nobody is known to have it: asking", "asking"),
  ];
  let text = full;
  for (const change of shorter) {
    if (text.length <= width) return text;
    text = change(text);
  }
  return cutWords(text, width);
}
