import { UserError, UserErrors } from "../base/errors.js";
import { showTable, type ShowKind } from "../lab/show.js";
import { traceRequest, type TraceRequest } from "../lab/trace.js";
import { viewOf } from "../view/trace-view.js";
import { PER_NODE, parseTraceWords } from "./command-line.js";
import { tableOfText } from "./tables.js";
import { TraceModel } from "./trace-model.js";
import { currentTrace, openTrace, type OpenWorld, type UiState } from "./ui-state.js";

/** Sends a packet as `hopwise trace` does. `words` are its command line. Throws UserError. */
export function traceWords(open: OpenWorld, words: string): TraceModel {
  const parsed = parseTraceWords(words);
  if (typeof parsed === "string") throw new UserError("USAGE", parsed);
  const { source, destination, options } = parsed;
  const protocol = options.get("--proto") ?? "tcp";
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "icmp")
    throw new UserError("USAGE", `no protocol "${protocol}"`, { help: "tcp, udp or icmp" });
  const request: TraceRequest = {
    source,
    destination,
    protocol,
    sourcePort: numberOption(options, "--sport", 1, 65_535) ?? 40_000,
    ttl: numberOption(options, "--ttl", 1, 255),
    seed: numberOption(options, "--seed", 0, 4_294_967_295) ?? 1,
    endpoint: options.get("--endpoint"),
    oneWay: options.has("--one-way"),
  };
  return new TraceModel(
    `${source} > ${destination}`,
    viewOf(traceRequest(open.world, request)),
    open.sources,
    request,
  );
}

function numberOption(
  options: ReadonlyMap<string, string>,
  name: string,
  low: number,
  high: number,
): number | undefined {
  const text = options.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > high)
    throw new UserError("USAGE", `${name} is a whole number from ${low} to ${high}, not "${text}"`);
  return value;
}

/** The state with another trace in front. */
export function withNewTrace(state: UiState, model: TraceModel): UiState {
  return {
    ...state,
    traces: [...state.traces, openTrace(model)],
    current: state.traces.length,
    screens: [{ kind: "trace" }],
    locate: undefined,
    message: undefined,
  };
}

/** The state with a table of the world in front. Throws UserError. */
export function withTable(
  state: UiState,
  open: OpenWorld,
  show: ShowKind,
  name: string | undefined,
): UiState {
  const { world } = open;
  if (world.kind !== "cluster")
    throw new UserError("SHOW_LAB", `${world.name} is a lab without Kubernetes`);
  const trace = currentTrace(state);
  const where =
    name ??
    (PER_NODE.includes(show)
      ? (trace?.model.steps[trace.at]?.ns ?? world.cluster.nodes[0]?.name)
      : undefined);
  const shown = showTable(world, show, where, trace?.model.view.recording.seed ?? 1);
  const table = typeof shown === "string" ? tableOfText(shown) : shown;
  const title = where === undefined ? show : `${show} ${where}`;
  const before = state.screens.filter((screen) => screen.kind !== "table");
  return {
    ...state,
    screens: [
      ...before,
      { kind: "table", show, name: where, title, table, selected: 0, column: 0, filter: "" },
    ],
  };
}

/** What a user error says in one line. */
export function oneLine(error: UserError | UserErrors): string {
  const first = error instanceof UserErrors ? error.errors[0] : error;
  if (first === undefined) return error.message;
  return `${first.message}${first.details.help === undefined ? "" : `; ${first.details.help}`}`;
}
