import { createInterface } from "node:readline";
import { plain } from "./style.js";
import { safeText } from "../base/safe-text.js";
import { verdictName } from "../view/outcome.js";
import type { Step } from "../view/steps.js";
import { reasonOf } from "../view/why.js";
import { chainLines } from "./panes/chain.js";
import { stateLines } from "./panes/state.js";
import { whyLines } from "./panes/why.js";
import type { TraceModel } from "./trace-model.js";

/** Lines of the terminal in, text out. */
export interface LinearStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly out: (text: string) => void;
}

const PROMPT = "next, prev, change, why, chain, state, find, quit > ";
const WIDTH = 78;

/**
 * The trace as a conversation, for screen readers and logs: each step is told in sentences, then a prompt. Nothing moves
 * the cursor and nothing is drawn. Ends with `quit` or the end of input; gives the exit code.
 */
export async function runLinear(model: TraceModel, { stdin, out }: LinearStreams): Promise<number> {
  let at = 0;
  const say = (lines: readonly string[]): void =>
    out(lines.map((line) => `${safeText(line)}\n`).join(""));
  say([headline(model), ...tell(model, at)]);
  out(PROMPT);
  for await (const line of createInterface({ input: stdin, terminal: false })) {
    const answer = respond(model, at, line.trim());
    if (answer === undefined) break;
    at = answer.at;
    say(answer.lines);
    out(PROMPT);
  }
  return 0;
}

interface Answer {
  readonly at: number;
  readonly lines: readonly string[];
}

/** What one line of input gets; undefined ends. */
function respond(model: TraceModel, at: number, line: string): Answer | undefined {
  const [word = "", ...rest] = line.split(/\s+/);
  const go = (to: number | undefined, otherwise: string): Answer =>
    to === undefined || model.steps[to] === undefined
      ? { at, lines: [otherwise] }
      : { at: to, lines: tell(model, to) };
  switch (word) {
    case "":
    case "n":
    case "next":
      return go(at + 1, "This is the last step.");
    case "p":
    case "prev":
      return go(at === 0 ? undefined : at - 1, "This is the first step.");
    case "c":
    case "change": {
      const index = model.steps.findIndex((step, position) => position > at && step.mark === "*");
      return go(index < 0 ? undefined : index, "No later step changes the packet.");
    }
    case "w":
    case "why":
      return { at, lines: whyLines(model, at, WIDTH, true).map(plain) };
    case "chain":
      return { at, lines: chainLines(model, at, WIDTH).map(plain) };
    case "state":
      return { at, lines: stateLines(model, at, WIDTH, false).map(plain) };
    case "find": {
      const text = rest.join(" ").toLowerCase();
      const index = model.steps.findIndex(
        (step, position) => position > at && sentence(step).toLowerCase().includes(text),
      );
      return go(
        text === "" || index < 0 ? undefined : index,
        text === "" ? "find needs a text." : `"${rest.join(" ")}" is in no later step.`,
      );
    }
    case "q":
    case "quit":
      return undefined;
    default:
      return /^\d+$/.test(word)
        ? go(Number(word) - 1, `There is no step ${word}.`)
        : {
            at,
            lines: [`"${word}" is not one of: ${PROMPT.replace(" > ", "")}, or a step's number.`],
          };
  }
}

/** The verdict first, and of a packet that is lost where to look. */
function headline({ view, deciding }: TraceModel): string {
  const { verdict, recording, steps } = view;
  const { source, destination } = recording.request;
  const n = verdict.exit === 0 ? undefined : steps[deciding ?? -1]?.n;
  const because = verdict.because === "" ? "" : ` ${verdict.because}.`;
  const decided = n === undefined ? "" : ` Step ${n} decides: type ${n}.`;
  return `Trace from ${source} to ${destination}: ${verdictName(verdict)}.${because} ${steps.length} steps.${decided}`;
}

function tell(model: TraceModel, at: number): readonly string[] {
  const step = model.steps[at];
  return step === undefined
    ? [`No packet was sent. ${model.view.verdict.because}`]
    : [`Step ${step.n} of ${model.steps.length}. ${sentence(step)}`, reasonOf(step)];
}

function sentence(step: Step): string {
  const where = `At ${step.ns}${step.dev === undefined ? "" : ` ${step.dev}`}${step.hook === undefined ? "" : `, ${step.hook.toLowerCase()}`}`;
  return `${where}: ${step.step}. ${step.effect}.`;
}
