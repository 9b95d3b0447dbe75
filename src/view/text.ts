import type { Place } from "../base/errors.js";
import { fold } from "../base/fold.js";
import { safeText } from "../base/safe-text.js";
import type { Recording } from "../core/recording.js";
import type { PolicyEvent, RuleEvent } from "../core/trace.js";
import { ICMP_ECHOREPLY } from "../wire/icmp.js";
import { TCP_RST, TCP_SYN } from "../wire/tcp.js";
import { sourceOf } from "./fields.js";
import { isPacketEvent, type PacketEvent } from "./follow.js";
import { madeText } from "./made.js";
import { nearestRule } from "./nearest-rule.js";
import { type LookupQuery, queriesOf } from "./lookup.js";
import { type Verdict, verdictName } from "./outcome.js";
import { stepTable, wideTable } from "./step-table.js";
import type { Step } from "./steps.js";
import type { TraceView } from "./trace-view.js";
import { reasonOf } from "./why.js";

export interface TextOptions {
  /** Show every step, not only those that decided something. */
  readonly all: boolean;
  /** It is a packet of a capture: nobody asked for it, and what its sender saw is in the capture. */
  readonly captured?: boolean | undefined;
  /** Columns of the terminal that it is for; undefined for a file or a program. */
  readonly width?: number | undefined;
  /** Show these steps, whatever they decided: what a filter left. */
  readonly filtered?: { readonly text: string; readonly steps: readonly Step[] } | undefined;
}

/** A trace as people read it, before it has the form of a format. */
export interface TraceParts {
  /** The flow and its name lookup. */
  readonly heading: readonly string[];
  readonly shown: readonly Step[];
  /** The verdict and what to know about it. */
  readonly ending: readonly string[];
}

export function traceParts(view: TraceView, options: TextOptions): TraceParts {
  const { recording, steps } = view;
  const { filtered, captured } = options;
  const shown = filtered?.steps ?? (options.all ? steps : steps.filter((step) => step.decisive));
  const heading = [
    ...(captured === true ? [] : [flowLine(view)]),
    ...lookupLines(recording, options),
  ];
  const ending = [
    ...(filtered === undefined
      ? []
      : [`filter: ${filtered.text}   ${shown.length} of ${steps.length} steps`]),
    ...verdictLines(view, filtered === undefined ? steps.length - shown.length : 0),
  ];
  const told = (line: string): boolean => captured !== true || !line.startsWith("SENDER SEES");
  return {
    heading: heading.filter(told).map(safeText),
    shown: relabelled(shown),
    ending: ending.filter(told).map(safeText),
  };
}

/** A trace as `hopwise trace` prints it: flow, name lookup, steps, verdict and what to know about it. */
export function formatTrace(view: TraceView, options: TextOptions): string {
  const { heading, shown, ending } = traceParts(view, options);
  const table = shown.length === 0 ? [] : stepTable(shown, options.width).map(safeText);
  return `${[...heading, ...table, ...ending]
    .flatMap((line) => fitted(line, options.width))
    .join("\n")}\n`;
}

/** The same with more columns, each as wide as it needs: `-o wide`. */
export function formatWide(view: TraceView, options: TextOptions): string {
  const { heading, shown, ending } = traceParts(view, options);
  return `${[...heading, ...wideTable(shown), ...ending].join("\n")}\n`;
}

/** Sentences go on below; rules, as they are to be copied, and rows, which fit already, are left whole. */
function fitted(line: string, width: number | undefined): readonly string[] {
  return width === undefined || /^[ \d]/.test(line) ? [line] : fold(line, width, " ".repeat(6));
}

/** The verdict line alone: `-q`; of what was delivered only that it was. */
export function formatVerdict({ verdict, recording }: TraceView): string {
  const line =
    verdict.exit === 0
      ? [verdictName(verdict), verdict.because].filter((part) => part !== "").join("  ")
      : verdictLine(verdict, recording);
  return `${safeText(line)}\n`;
}

/** Only what changed in the packet, and the verdict: `-o minimal`. It survives rules that move. */
export function formatMinimal(view: TraceView): string {
  const changed = view.steps.filter((step) => step.mark === "*" && step.changes.length > 0);
  const lines = changed.map(
    (step) =>
      `${step.ns}  ${step.changes.map(({ field, from, to }) => `${field} ${from} => ${to}`).join(", ")}`,
  );
  return `${[...lines, verdictName(view.verdict)].map(safeText).join("\n")}\n`;
}

/** One step in full: `--step N`. */
export function formatStep(view: TraceView, n: number): string | undefined {
  const step = view.steps.find((one) => one.n === n);
  if (step === undefined) return undefined;
  const where = `${step.ns}${step.dev === undefined ? "" : ` ${step.dev}`}`;
  const maker =
    step.place === undefined
      ? ""
      : `   ${placeText(step.place)}${makerText(view.recording, step.place, step.text)}`;
  const lines = [
    `step ${step.n} of ${view.steps.length}   ${where}${step.hook === undefined ? "" : `   ${step.hook}`}   t=${(step.time / 1000).toFixed(3)} ms`,
    `${step.step}   ${step.effect}`,
    `WHY     ${reasonOf(step)}`,
    ...(step.text === undefined ? [] : [`RULE    ${step.text}${maker}`]),
    ...(step.counter === undefined ? [] : [`PKTS    ${step.counter[0]} => ${step.counter[1]}`]),
    ...step.changes.map(({ field, from, to }) => `CHANGE  ${field.padEnd(14)} ${from} => ${to}`),
    ...step.state.map((state) => `STATE   ${state}`),
  ];
  return `${lines.map(safeText).join("\n")}\n`;
}

function flowLine({ recording, conversation }: TraceView): string {
  const { request } = recording;
  const first = conversation.out?.events[0]?.frame;
  const what =
    request.protocol === "tcp"
      ? first?.transport?.kind === "tcp" && (first.transport.flags & TCP_SYN) === 0
        ? "TCP"
        : "TCP SYN"
      : request.protocol === "icmp"
        ? "ICMP echo request"
        : "UDP";
  const from =
    first === undefined
      ? request.sourcePort === 0
        ? request.sourceAddress
        : `${bracketed(request.sourceAddress)}:${request.sourcePort}`
      : sourceOf(first);
  const proxy = recording.proxy === undefined ? "" : `proxy ${recording.proxy}, `;
  const table = recording.followed === undefined ? "empty" : "as the packet before left it";
  return `${what} ${from} -> ${request.destination}   ${proxy}seed ${recording.seed}, conntrack ${table}`;
}

function lookupLines(recording: Recording, options: TextOptions): readonly string[] {
  const { lookup } = recording;
  if (lookup === undefined) return [];
  const means = lookup.means === undefined ? "" : ` (${lookup.means})`;
  const answer =
    lookup.address === undefined
      ? (lookup.unknown ?? lookup.error ?? "no answer")
      : `${lookup.address}${means}`;
  const tries = lookup.tried.length;
  const name = lookup.name === undefined ? "" : `: ${lookup.name}`;
  return [
    `DNS ${lookup.asked} -> ${answer}   ${ordinal(tries)} of ${tries} ${tries === 1 ? "name" : "names"} tried${name}`,
    ...queriesOf(recording).flatMap((query) => queryLines(query, options)),
  ];
}

function queryLines(
  { number, name, type, rcode, answers, plugins }: LookupQuery,
  { all }: TextOptions,
): readonly string[] {
  const [first] = plugins;
  const asked = `  Q${number} ${name} ${type}`.padEnd(52);
  const line = `${asked} ${rcode}${answers.length === 0 ? "" : ` ${answers.join(" ")}`}${first === undefined ? "" : `   by ${first.ns}`}`;
  if (!all) return [line];
  return [
    line,
    ...plugins.map(
      ({ plugin, action, why }) => `       ${plugin}: ${action}${why === "" ? "" : `, ${why}`}`,
    ),
  ];
}

function ordinal(n: number): string {
  const tens = n % 100;
  const suffix = tens >= 11 && tens <= 13 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${suffix}`;
}

/** A delivery on the way back is told as such, and a refusal as what it is. */
function relabelled(steps: readonly Step[]): readonly Step[] {
  return steps.map((step) =>
    step.leg === "back" && step.mark === "ok"
      ? { ...step, effect: `${answerName(step)} ${step.effect}` }
      : step,
  );
}

function answerName({ frame: { transport } }: Step): string {
  if (transport?.kind === "tcp" && (transport.flags & TCP_RST) !== 0) return "RST";
  if (transport?.kind !== "icmp" || transport.type === ICMP_ECHOREPLY) return "REPLY";
  return `ICMP ${transport.type}/${transport.code}`;
}

function verdictLines(view: TraceView, hidden: number): readonly string[] {
  const { verdict, steps, recording } = view;
  const out = steps.filter((step) => step.leg === "out").length;
  const tail = hidden > 0 ? ` (${hidden} without effect hidden; -v shows them)` : "";
  const name = verdictName(verdict);
  if (verdict.exit === 0) {
    const notes = replyNotes(view);
    return [
      `${name}  ${out} steps out, ${steps.length - out} back${tail}`,
      ...notes.map((note) => `note: ${note}`),
    ];
  }
  if (verdict.outcome === "UNKNOWN") return [verdictLine(verdict, recording)];
  return [
    verdictLine(verdict, recording),
    ...chainLines(verdict, recording),
    ...madeLines(verdict, recording),
    ...nearestLines(view),
    ...sees(verdict),
  ];
}

/** What became of a packet that was not delivered, and what decided it. */
function verdictLine(verdict: Verdict, recording: Recording): string {
  const name = verdictName(verdict);
  if (verdict.outcome !== "UNKNOWN") return `${name}  ${deciderText(verdict, recording)}`.trimEnd();
  const places = verdict.deciding === undefined ? [] : placeOfEvent(verdict.deciding);
  return `${name}  ${[verdict.because, ...places].join("   ")}`;
}

/** The rule that would have let the packet pass with the fewest changes, when none did. */
function nearestLines({ verdict, recording }: TraceView): readonly string[] {
  const { deciding } = verdict;
  if (deciding?.kind !== "policy") return [];
  const nearest = nearestRule(deciding, recording.events.filter(isPacketEvent));
  if (nearest === undefined) return [];
  const { place, text } = nearest.event;
  const where = place === undefined ? "" : `${placeText(place)} `;
  return [`NEAREST  ${where}${text}   (${nearest.failed.join(", ")})`];
}

function sees(verdict: Verdict): readonly string[] {
  return verdict.outcome === "NO-NAME" ? [] : [`SENDER SEES  ${verdict.senderSees}`];
}

/** Who really arrived: said when the server sees another address than the client's own. */
function replyNotes({ conversation, recording }: TraceView): readonly string[] {
  const first = conversation.out?.events[0]?.frame;
  const last = conversation.out?.events.at(-1);
  if (first === undefined || last === undefined) return [];
  const seen = sourceOf(last.frame).replace(/:\d+$/, "");
  const sent = sourceOf(first).replace(/:\d+$/, "");
  if (seen === sent) return [];
  const asked = whoMasquerades(conversation.out?.events ?? [], recording);
  const why = asked === undefined ? "" : ` (${asked})`;
  return [
    `${last.ns} sees ${seen}, not ${recording.names.get(sent) ?? `the client ${sent}`}${why}`,
  ];
}

/** Why the source was replaced: what the rule that asked for it is there for. */
function whoMasquerades(events: readonly PacketEvent[], { makers }: Recording): string | undefined {
  const asking = events.findLast(
    (event) => event.kind === "rule" && event.matched && event.outcome === "KUBE-MARK-MASQ",
  );
  if (asking?.kind !== "rule" || asking.place === undefined) return undefined;
  return makers.get(asking.place.file)?.line?.(asking.place.line)?.why;
}

/** What decided, in the words of the verdict line: the rule with its place, a policy, or the reason. */
export function deciderText(verdict: Verdict, recording: Recording): string {
  const event = verdict.deciding;
  if (verdict.outcome === "DENIED") return verdict.because;
  if (event?.kind === "rule") {
    const place =
      event.place === undefined
        ? ""
        : `   ${placeText(event.place)}${makerText(recording, event.place, event.text)}`;
    return `${event.ns} ${event.table} ${event.chain}[${event.number}]${place}`;
  }
  if (event?.kind === "policy") {
    const place = event.place === undefined ? "" : `   ${placeText(event.place)}`;
    const node = recording.proxy === undefined ? "" : `${event.ns} `;
    return `policy of ${node}${event.table} ${event.chain}, none of ${event.rulesLookedAt} rules matched${place}`;
  }
  return verdict.because;
}

/** An IPv6 address stands in brackets before a port. */
function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** The deciding rule among its neighbours: how the packet fared at each, with the decider's counters. */
function chainLines(verdict: Verdict, recording: Recording): readonly string[] {
  const event = verdict.deciding;
  if (event?.kind !== "rule") return [];
  if (verdict.outcome === "DENIED") return [whyLine(recording)];
  const rules = recording.chain(event.ns, event.table, event.chain, event.engine);
  const around = rules.filter(({ number }) => Math.abs(number - event.number) <= 2);
  const width = Math.max(...around.map(({ text }) => text.length), 0);
  return around.map(({ number, text }) => {
    const mark = number === event.number ? ">" : " ";
    return `  ${mark} ${number} ${text.padEnd(width)}   ${ruleStatus(number, event, recording)}`;
  });
}

/** Why a generated rule that decided is there at all. */
function madeLines({ deciding, outcome }: Verdict, { makers }: Recording): readonly string[] {
  if (deciding?.kind !== "rule" || deciding.place === undefined || outcome === "DENIED") return [];
  const made = makers.get(deciding.place.file)?.line?.(deciding.place.line);
  return made === undefined ? [] : [`WHY  ${made.why}`];
}

/** The command that explains a denial and finds the smallest fix. */
function whyLine({ request, world, lookup }: Recording): string {
  const target = lookup?.means?.replace(/^(Service|Pod) /, "") ?? request.destination;
  const port = lookup === undefined || request.port === 0 ? "" : `:${request.port}`;
  return `WHY  hopwise why ${request.source} ${target}${port} -w ${world}`;
}

function ruleStatus(number: number, decider: RuleEvent, { events }: Recording): string {
  if (number === decider.number) return `pkts ${decider.counter[0]} => ${decider.counter[1]}`;
  if (number > decider.number) return "not reached";
  const met = events.find(
    (event) =>
      event.kind === "rule" &&
      event.packet === decider.packet &&
      event.ns === decider.ns &&
      event.hook === decider.hook &&
      event.table === decider.table &&
      event.chain === decider.chain &&
      event.number === number,
  );
  if (met?.kind !== "rule" || !met.matched) return "no match";
  return met.effect === "jump" ? "went through it" : "match";
}

function placeOfEvent(
  event: RuleEvent | PolicyEvent | NonNullable<Verdict["deciding"]>,
): readonly string[] {
  return "place" in event && event.place !== undefined ? [placeText(event.place)] : [];
}

/** Chains that only Kubernetes' own programs use: in a node's dump nobody says who wrote a rule. */
const OF_COMPONENTS = /(^|\s)-[Ajg] (KUBE|CNI|cali|FLANNEL)-/;

function makerText(recording: Recording, place: Place, text = ""): string {
  if (recording.makers.size === 0) return "";
  const maker = recording.makers.get(place.file);
  if (maker === undefined)
    return OF_COMPONENTS.test(text) ? "" : "   not made by kube-proxy or the CNI";
  return `   ${madeText(maker, place)}`;
}

export function placeText({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}
