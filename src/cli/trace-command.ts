import { writeFileSync } from "node:fs";
import { dump } from "js-yaml";
import { UserError } from "../base/errors.js";
import { safeText } from "../base/safe-text.js";
import type { Recording } from "../core/recording.js";
import { nearest } from "../base/nearest.js";
import { parseDialect } from "../kube/policy/dialect.js";
import { dialectNotRendered } from "../lab/policies.js";
import { type TraceRequest, traceRequest } from "../lab/trace.js";
import { type Branches, traceBranches } from "../lab/what-if/branches.js";
import { loadWhatIf, type WhatIf, whatIfTitle, withCommands } from "../lab/what-if/what-if.js";
import type { World } from "../lab/world.js";
import { branchesExit, branchesJson, formatBranches } from "../view/branches.js";
import { type Filter, parseFilter } from "../view/filter.js";
import { packetsOfFlow } from "../view/follow.js";
import { filteredSteps } from "../view/filter-rows.js";
import { stepJson, traceJson } from "../view/json.js";
import { type Verdict, verdictName } from "../view/outcome.js";
import { OUTCOMES } from "../view/outcomes.js";
import { formatHtml } from "../view/html.js";
import { formatMarkdown } from "../view/markdown.js";
import { formatMermaid } from "../view/mermaid.js";
import { sequenceOf } from "../view/sequence.js";
import { isHairpin, type Step } from "../view/steps.js";
import { formatSvg } from "../view/svg.js";
import { captureNotes, tracePcapng } from "../view/pcapng.js";
import {
  formatMinimal,
  formatStep,
  formatTrace,
  formatVerdict,
  formatWide,
  placeText,
} from "../view/text.js";
import { type TraceView, viewOf } from "../view/trace-view.js";
import { formatConntrackEvents } from "../view/conntrack-events.js";
import { formatXtablesTrace } from "../view/xtables-trace.js";
import type { TraceOptions } from "./commands/trace.js";
import { readWorlds } from "./files.js";
import { worldPaths } from "./options.js";
import { columnsOf, type Streams } from "./streams.js";

/** `hopwise trace SRC DST`: loads the world, runs the request, prints what happened. Gives the exit code. */
export function traceCommand(
  source: string,
  destination: string,
  options: TraceOptions,
  streams: Streams,
): number {
  if (options.expect !== undefined) checkOutcome(options.expect);
  const filter = options.filter === undefined ? undefined : parseFilter(options.filter);
  if ((filter !== undefined || options.namespaces !== undefined) && options.all === true) {
    const option = filter === undefined ? "-n" : "--filter";
    throw new UserError("USAGE", `${option} is for one trace, and --all prints several`);
  }
  const paths = worldPaths(options.world);
  const changes = whatIfOf(options);
  const world = loadWhatIf(readWorlds(paths), paths.join(" "), changes, {
    addresses: options.addr ?? [],
  });
  const request: TraceRequest = {
    source,
    destination,
    protocol: options.proto,
    sourcePort: options.sport,
    ttl: options.ttl,
    seed: options.seed,
    endpoint: options.endpoint,
    oneWay: options.oneWay ?? false,
    count: options.count,
    inputDevice: options.in,
    family: options.ipv6 === true ? 6 : options.ipv4 === true ? 4 : undefined,
  };
  if (options.all === true) return printBranches(traceBranches(world, request), options, streams);
  const recording = underDialect(world, request, options.dialect, traceRequest(world, request));
  if (options.count !== undefined)
    return printPackets(recording, filter, { ...options, count: options.count }, streams);
  const view = viewOf(recording);
  for (const line of noteLines(recording)) streams.err(`${safeText(line)}\n`);
  if (view.verdict.outcome === "DENIED" && options.dialect === undefined)
    streams.err("note: policies are kube-router's rules; --dialect asks about other plugins\n");
  print(view, filter, options, streams);
  if (isPlainText(options)) streams.out(hairpinNote(world, request, view));
  return exitCode(view.verdict, options.expect);
}

/** What is not certain of a trace under another dialect than that of its rules. */
function underDialect(
  world: World,
  { source, destination, protocol }: TraceRequest,
  dialect: string | undefined,
  recording: Recording,
): Recording {
  if (dialect === undefined) return recording;
  const question = { source, destination, protocol: protocol.toUpperCase() };
  const doubts = dialectNotRendered(world, question, parseDialect(dialect));
  return { ...recording, unknown: [...recording.unknown, ...doubts] };
}

function isPlainText({ json, output, step, quiet, out }: TraceOptions): boolean {
  return (
    json !== true && output === "text" && step === undefined && quiet !== true && out === undefined
  );
}

/** A request that a bridge sent back by the port it came in by: what would have become of it without that switch. */
function hairpinNote(world: World, request: TraceRequest, { verdict, steps }: TraceView): string {
  const turned = steps.find(({ leg, event }) => leg === "out" && isHairpin(event));
  if (turned?.dev === undefined || verdict.exit !== 0) return "";
  const setting = `${turned.ns}.${turned.dev}.hairpin_mode=off`;
  const other = viewOf(traceRequest(withCommands(world, [setting]), request));
  const end = other.steps.find(({ mark, decisive }) => decisive && mark === "!");
  const at = end === undefined ? "" : ` at step ${end.n}`;
  return `what if: --set ${safeText(setting)} gives ${verdictName(other.verdict)}${at}\n`;
}

function whatIfOf(options: TraceOptions): WhatIf {
  return {
    patches: readWorlds(options.patch ?? []),
    set: options.set ?? [],
    without: options.without ?? [],
  };
}

/** `--all`: every way of the request. */
function printBranches(
  { branches, rest }: Branches,
  options: TraceOptions,
  streams: Streams,
): number {
  const views = branches.map(({ chance, recording }) => ({ chance, view: viewOf(recording) }));
  const shown = { branches: views, rest };
  const json = options.json === true || options.output === "json";
  if (!json && options.output !== "text")
    throw new UserError("USAGE", `--all is printed as text or json, not as ${options.output}`);
  const text = json
    ? `${JSON.stringify(branchesJson(shown), undefined, 2)}\n`
    : headingOf(options) + formatBranches(shown, { all: options.verbose ?? false });
  if (options.out === undefined) streams.out(text);
  else writeFileSync(options.out, streams.inFile?.(text) ?? text);
  const notes = new Set(branches.flatMap(({ recording }) => noteLines(recording)));
  for (const line of notes) streams.err(`${safeText(line)}\n`);
  return branchesExit(views);
}

/** `--count`: the packets of one flow, each as a trace of its own. */
function printPackets(
  recording: Recording,
  filter: Filter | undefined,
  options: TraceOptions & { readonly count: number },
  streams: Streams,
): number {
  const format = options.json === true ? "json" : options.output;
  if (!["text", "wide", "minimal", "json"].includes(format))
    throw new UserError(
      "USAGE",
      `--count is printed as text, wide, minimal or json, not as ${format}`,
    );
  const views = packetsOfFlow(recording)
    .slice(0, options.count)
    .map((followed, index) => viewOf(index === 0 ? recording : laterPacket(recording, followed)));
  for (const line of noteLines(recording)) streams.err(`${safeText(line)}\n`);
  if (views.length < options.count)
    streams.err(
      `note: ${views.length} of ${options.count} packets were sent: the last had no answer, or an error for one\n`,
    );
  const parts: string[] = [];
  const collected: Streams = { ...streams, out: (text) => void parts.push(text) };
  const { out, ...each } = options;
  for (const view of views) print(view, filter, each, collected);
  const text =
    format === "json"
      ? `${JSON.stringify({ v: 1, kind: "Traces", traces: parts.map((part): unknown => JSON.parse(part)) }, undefined, 2)}\n`
      : parts.map((part, index) => `packet ${index + 1} of ${views.length}\n${part}`).join("\n");
  if (out === undefined) streams.out(text);
  else writeFileSync(out, streams.inFile?.(text) ?? text);
  return Math.max(0, ...views.map(({ verdict }) => exitCode(verdict, options.expect)));
}

/** The run with another packet picked out. What a connection sends later need not be answered. */
function laterPacket(recording: Recording, followed: number): Recording {
  const oneWay = recording.request.protocol === "tcp";
  return { ...recording, followed, oneWay, lookup: undefined, lookupEvents: [] };
}

function headingOf({ patch = [], set = [], without = [] }: TraceOptions): string {
  const title = whatIfTitle({ patches: patch.map((file) => ({ file, text: "" })), set, without });
  return title === "" ? "" : `${safeText(title)}\n`;
}

/** More notes about places than this are only counted. */
const MOST_NOTES = 20;

function noteLines({ notes, unreached = [] }: Recording): readonly string[] {
  const placed = unreached.slice(0, MOST_NOTES);
  const more = unreached.length - placed.length;
  return [
    ...placed.map(({ text, place }) => `${placeText(place)}: note: ${text}`),
    ...(more > 0 ? [`note: ${more} more matches and targets that are not modelled`] : []),
    ...notes.map((note) => `note: ${note}`),
  ];
}

function print(
  view: TraceView,
  filter: Filter | undefined,
  options: TraceOptions,
  streams: Streams,
): void {
  const format = options.json === true ? "json" : options.output;
  const write = (content: string | Uint8Array): void => {
    const isText = typeof content === "string";
    if (options.out !== undefined)
      writeFileSync(options.out, isText ? (streams.inFile?.(content) ?? content) : content);
    else if (isText) streams.out(content);
    else streams.outBytes(content);
  };
  const text = options.step !== undefined || ["text", "wide", "minimal"].includes(format);
  const heading = headingOf(options);
  if (!text && heading !== "") streams.err(heading);
  if (options.step !== undefined) {
    const step = formatStep(view, options.step);
    if (step === undefined) {
      throw new UserError("STEP_MISSING", `there is no step ${options.step}`, {
        help: `this trace has steps 1 to ${view.steps.length}`,
      });
    }
    return write(heading + step);
  }
  const filtered = chosenSteps(view, filter, options.namespaces);
  const shown = filtered === undefined ? view : { ...view, steps: filtered.steps };
  const document = (): object =>
    filtered === undefined
      ? traceJson(view)
      : { ...traceJson(shown), filter: filtered.text, allSteps: view.steps.length };
  const all = options.verbose ?? false;
  // A filter asks for what it holds for; -n only where to look.
  const decisive = filter === undefined && !all;
  const as = {
    all,
    filtered:
      filtered !== undefined && decisive
        ? { ...filtered, steps: filtered.steps.filter((step) => step.decisive) }
        : filtered,
    width: columnsOf(streams, options.out !== undefined),
  };
  switch (format) {
    case "json":
      return write(`${JSON.stringify(document(), undefined, 2)}\n`);
    case "yaml":
      return write(dump(JSON.parse(JSON.stringify(document())), { lineWidth: -1 }));
    case "wide":
      return write(heading + formatWide(view, as));
    case "md":
      return write(formatMarkdown(view, as));
    case "mermaid":
      return write(formatMermaid(sequenceOf(view, shown.steps)));
    case "svg":
      return write(formatSvg(sequenceOf(view, shown.steps)));
    case "html":
      return write(formatHtml(view, { ...as, filtered }));
    case "jsonl":
      return write(
        shown.steps.map((step) => `${JSON.stringify(stepJson(step, view.recording))}\n`).join(""),
      );
    case "minimal":
      return write(heading + formatMinimal(shown));
    case "conntrack-events":
      return write(formatConntrackEvents(view.recording.events));
    case "xtables-trace":
      return write(formatXtablesTrace(view.recording.events));
    case "pcapng":
      if (options.out === undefined && streams.isTerminal) {
        throw new UserError("OUTPUT_BINARY", "a capture is not for a terminal", {
          help: "add --out FILE.pcapng, or send it to a program: | tshark -r -",
        });
      }
      for (const note of captureNotes(shown)) streams.err(`note: ${note}\n`);
      return write(tracePcapng(shown));
    default:
      return write(
        heading + (options.quiet === true ? formatVerdict(view) : formatTrace(view, as)),
      );
  }
}

/** The steps that `--filter` and `-n` leave; undefined without either. */
function chosenSteps(
  view: TraceView,
  filter: Filter | undefined,
  namespaces: string | undefined,
): { readonly text: string; readonly steps: readonly Step[] } | undefined {
  if (filter === undefined && namespaces === undefined) return undefined;
  const steps = filter === undefined ? view.steps : filteredSteps(view, filter);
  if (namespaces === undefined) return { text: filter?.text ?? "", steps };
  const names = namespaces.split(",").filter((name) => name !== "");
  for (const name of names) checkNamespace(name, view);
  const words = [`-n ${names.join(",")}`, ...(filter === undefined ? [] : [filter.text])];
  return {
    text: words.join("  "),
    steps: steps.filter(({ ns }) => names.some((name) => isIn(name, ns))),
  };
}

/** A network namespace by its name, or all pods of a Kubernetes namespace. */
function isIn(name: string, ns: string): boolean {
  return ns === name || ns.startsWith(`${name}/`);
}

function checkNamespace(name: string, { steps }: TraceView): void {
  const met = [...new Set(steps.map(({ ns }) => ns))];
  if (met.some((ns) => isIn(name, ns))) return;
  const near = nearest(name, [...met, ...met.map((ns) => ns.split("/")[0] ?? ns)]);
  throw new UserError("NAMESPACE_UNKNOWN", `the packet is never in a network namespace "${name}"`, {
    help: near === undefined ? `it is in ${met.join(", ")}` : `did you mean ${near}?`,
  });
}

function checkOutcome(expected: string): void {
  const known = Object.keys(OUTCOMES).flatMap((name) => [name, `REPLY-${name}`]);
  if (known.includes(expected)) return;
  const near = nearest(expected.toUpperCase(), known);
  throw new UserError("USAGE", `there is no outcome "${expected}"`, {
    help: near === undefined ? "hopwise explain lists them" : `did you mean ${near}?`,
  });
}

function exitCode(verdict: Verdict, expected: string | undefined): number {
  if (expected === undefined) return verdict.exit;
  return verdictName(verdict) === expected ? 0 : verdict.exit === 3 ? 3 : 1;
}
