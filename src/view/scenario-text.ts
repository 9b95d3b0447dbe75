import { safeText } from "../base/safe-text.js";
import type { StepRecording } from "../core/scenario-recording.js";
import type { CommandEvent, ObjectEvent, TraceEvent } from "../core/trace.js";
import { type Check, receiverOf, type ScenarioView, type StepView } from "./scenario.js";
import { verdictName } from "./outcome.js";
import type { Step } from "./steps.js";
import { formatTrace, placeText } from "./text.js";

export interface ScenarioTextOptions {
  /** Every step of every packet, and the whole text that commands read and print. */
  readonly all: boolean;
}

/** What is the same for all lines of a scenario. */
interface Context extends ScenarioTextOptions {
  readonly start: number;
}

const INDENT = " ".repeat(16);

/** A scenario as `hopwise run` prints it: each step with its time, what agents did about it, what became of its packet. */
export function formatScenario(view: ScenarioView, options: ScenarioTextOptions): string {
  const { recording, steps } = view;
  const head = `scenario ${recording.name}   world ${recording.world}, proxy ${recording.proxy}, seed ${recording.seed}`;
  const lines = [
    [head, ...recording.settings].join(", "),
    ...(recording.about === "" ? [] : recording.about.split("\n")),
    ...steps.flatMap((step) => ["", ...stepLines(step, { ...options, start: recording.start })]),
    "",
    summary(view),
  ];
  return `${lines.map(safeText).join("\n")}\n`;
}

export function summary({ steps, expected, failed }: ScenarioView): string {
  const count = `${steps.length} ${steps.length === 1 ? "step" : "steps"}`;
  if (expected === 0) return `${count}, nothing expected`;
  return `${count}, ${expected - failed} of ${expected} expectations hold`;
}

function stepLines(view: StepView, options: Context): readonly string[] {
  const { step } = view;
  const about = step.about === "" ? [] : [`${INDENT}${step.about}`];
  return [
    ...changeLines(step.before, step, options),
    `${String(step.number).padStart(2)} ${clock(step.from)}  ${step.title}`,
    ...about,
    ...changeLines(step.events, step, options),
    ...packetLines(view, options),
    ...checkLines(view),
  ];
}

/** Seconds from the start, in milliseconds. */
function clock(time: number): string {
  return `${(time / 1_000_000).toFixed(3)} s`.padStart(11);
}

/** What happened to objects, what agents and people ran, and what connections were told, in order. */
function changeLines(
  events: readonly TraceEvent[],
  step: StepRecording,
  { all, start }: Context,
): readonly string[] {
  const blocks: Block[] = [];
  for (const event of events) {
    if (event.kind === "object") blocks.push(oneLine(event.time, objectLine(event)));
    else if (event.kind === "command") {
      const block = all || event.by === "you" ? fullBlock(event) : agentBlock(event);
      if (block !== undefined) mergeBlock(blocks, block);
    } else if (event.kind === "socket") {
      const name = step.connections.get(`${event.ns} ${event.socket}`);
      if (name !== undefined && (name !== step.sent?.connection || step.before.includes(event)))
        blocks.push(oneLine(event.time, `${name}: ${event.text}`));
    }
  }
  let shown: number = step.from;
  return blocks.flatMap((block) => {
    const at = block.time - start;
    const head = at === shown ? INDENT : `   ${clock(at)}  `;
    shown = at;
    return blockLines(block).map((line, index) => (index === 0 ? head : INDENT) + line);
  });
}

function oneLine(time: number, line: string): Block {
  return { key: "", time, lines: [line], places: [] };
}

/** Lines that belong together; what several nodes do alike is told once. */
interface Block {
  /** Empty for what is never told together with others. */
  readonly key: string;
  readonly time: number;
  readonly lines: readonly string[];
  /** Where it was done; `%` in the first line stands for it. */
  readonly places: readonly string[];
}

/** Agents of several nodes work at the same time: between two changes of objects their order tells nothing. */
function mergeBlock(blocks: Block[], block: Block): void {
  for (let at = blocks.length - 1; block.key !== "" && at >= 0; at--) {
    const other = blocks[at];
    if (other === undefined || other.places.length === 0 || other.time !== block.time) break;
    if (other.key !== block.key) continue;
    const places = [...new Set([...other.places, ...block.places])];
    blocks[at] = { ...other, places };
    return;
  }
  blocks.push(block);
}

function blockLines({ lines: [first = "", ...rest], places }: Block): readonly string[] {
  return [first.replace("%", places.join(", ")), ...rest];
}

const SIGNS: Readonly<Record<ObjectEvent["action"], string>> = {
  created: "+",
  changed: "~",
  deleted: "-",
};

function objectLine({ object, action, by, why }: ObjectEvent): string {
  return `${SIGNS[action]} ${object}   ${by}: ${why}`;
}

function fullBlock(event: CommandEvent): Block {
  const { ns, by, argv, why, stdin, output, code, time } = event;
  const reason = why === "" || by === "you" ? "" : `   (${why})`;
  const prompt = by === "you" ? `${ns}$` : `${by} on ${ns}:`;
  return {
    key: "",
    time,
    lines: [
      `${prompt} ${argv.join(" ")}${reason}`,
      ...indented(stdin ?? ""),
      ...indented(output),
      ...(code === 0 ? [] : [`  exit code ${code}`]),
    ],
    places: [ns],
  };
}

/** What a reader looks for in an agent's work; undefined for what only looks. */
function agentBlock(event: CommandEvent): Block | undefined {
  const { ns, by, argv, why, code, time } = event;
  if (argv.includes("-L") || by === "kubelet") return undefined;
  if (by === "CNI") return { key: `CNI ${why}`, time, lines: [`CNI ${why}`], places: [ns] };
  const rest = [...essence(event), ...(code === 0 ? [] : [`  exit code ${code}`])];
  const line = `${by} on %: ${argv.join(" ")}   (${why})`;
  return { key: [line, ...rest].join("\n"), time, lines: [line, ...rest], places: [ns] };
}

function indented(text: string): readonly string[] {
  const trimmed = text.replace(/\n$/, "");
  return trimmed === "" ? [] : trimmed.split("\n").map((line) => `  ${line}`);
}

/** The endpoints that come and go, the policies, the connections that are forgotten. */
function essence({ by, argv, stdin = "", output }: CommandEvent): readonly string[] {
  if (argv[0] === "conntrack") return indented(output.replace(/^conntrack v.*\n?/m, ""));
  if (argv[0] !== "iptables-restore" || by !== "kube-proxy") return [];
  const told = stdin
    .split("\n")
    .filter(
      (line) =>
        /^-A KUBE-SEP-\S+ .*-j DNAT/.test(line) ||
        line.startsWith("-X ") ||
        /has no (?:local )?endpoints/.test(line),
    );
  const shown = told.slice(0, MOST_RULES).map((line) => `  ${line}`);
  const more = told.length - MOST_RULES;
  return more > 0 ? [...shown, `  and ${more} more such rules`] : shown;
}

const MOST_RULES = 6;

function packetLines({ step, trace }: StepView, options: ScenarioTextOptions): readonly string[] {
  if (trace === undefined || step.sent === undefined) return [];
  if (options.all)
    return formatTrace(trace, { all: true })
      .trimEnd()
      .split("\n")
      .map((line) => INDENT + line);
  const { verdict, steps } = trace;
  const told = steps.filter((one) => one.leg === "out" && isTold(one));
  const name = verdictName(verdict);
  const mark = verdict.exit === 0 ? "ok" : verdict.exit === 3 ? " ?" : " !";
  const receiver = receiverOf(trace);
  const state = step.sent.state === undefined ? "" : `   ${step.sent.state}`;
  const sees = `sender sees: ${verdict.senderSees}`;
  const whom = receiver === undefined ? "" : ` ${receiver.ns}`;
  const because = verdict.because === "" ? "" : `: ${verdict.because}`;
  return [
    ...told.map((one) => `${INDENT}   ${one.ns}  ${one.step}  ${one.effect}${stateText(one)}`),
    `${INDENT}${mark} ${name}${verdict.exit === 0 ? whom : because}   ${sees}${state}`,
    ...ruleLine(trace).map((line) => `${INDENT}   ${line}`),
  ];
}

/** What a packet's line of a scenario is about: translations, and that the policy engine asked no policy. */
function isTold({ mark, decisive, chain, event }: Step): boolean {
  const known =
    event.kind === "rule" && event.matched && event.effect === "accept" && chain === KNOWN;
  return known || (mark === "*" && decisive);
}

function stateText({ text = "" }: Step): string {
  const state = /--ctstate (\S+) -j ACCEPT/.exec(text)?.[1];
  return state === undefined ? "" : ` ${state}`;
}

/** The chain by which kube-router accepts what conntrack knows. */
const KNOWN = "KUBE-NWPLCY-COMMON";

function ruleLine({ verdict: { deciding } }: NonNullable<StepView["trace"]>): readonly string[] {
  if (deciding?.kind !== "rule" || deciding.place === undefined) return [];
  return [`${placeText(deciding.place)}  ${deciding.text}`];
}

/** What held is told in one line; what did not, each in its own, with its place in the scenario. */
function checkLines({ step: { expect }, checks }: StepView): readonly string[] {
  const text = ({ what, wanted }: Check): string =>
    what === "outcome" ? wanted : `${what} ${wanted}`;
  const held = checks.filter(({ holds }) => holds).map(text);
  const place = expect === undefined ? "" : `   ${placeText(expect.place)}`;
  const failed = checks
    .filter(({ holds }) => !holds)
    .map((check) => {
      const got = check.got.trim() === "" ? "nothing" : check.got.trim();
      return `FAIL expected ${text(check)}, got ${got}${place}`;
    });
  return [...(held.length === 0 ? [] : [`ok expected ${held.join(", ")}`]), ...failed].map(
    (line) => INDENT + line,
  );
}
