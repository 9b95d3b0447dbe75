import { UserError, UserErrors } from "../base/errors.js";
import { showInLab, showTable, type ShowKind } from "../lab/show.js";
import { traceRequest, type TraceRequest } from "../lab/trace.js";
import { verdictName } from "../view/outcome.js";
import { viewOf } from "../view/trace-view.js";
import { isPerNode, parseTraceWords } from "./command-line.js";
import { tableOfText } from "./tables.js";
import { TraceModel } from "./trace-model.js";
import {
  currentTrace,
  type Message,
  openTrace,
  type OpenWorld,
  type UiState,
  withPushed,
} from "./ui-state.js";

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
    inputDevice: options.get("--in"),
    family: options.has("-6") ? 6 : options.has("-4") ? 4 : undefined,
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

/** The state with another trace in front: in place of the one shown, or over another screen, to which `q` goes back. */
export function withNewTrace(state: UiState, model: TraceModel): UiState {
  const pushed = withPushed(state, { kind: "trace", was: state.current });
  const below = pushed.screens.at(-2);
  const { verdict } = model.view;
  const decided = verdict.exit === 0 ? undefined : model.deciding;
  const message: Message | undefined =
    decided === undefined
      ? undefined
      : {
          kind: "note",
          text: `step ${model.steps[decided]?.n ?? 0} decides: ${verdictName(verdict)}; g goes to the first, ! comes back`,
        };
  const opened = openTrace(model);
  return {
    ...pushed,
    message,
    traces: [...state.traces, { ...opened, at: decided ?? opened.at }],
    current: state.traces.length,
    screens: below?.kind === "trace" ? pushed.screens.slice(0, -1) : pushed.screens,
  };
}

/** The state with a table of the world in front. Throws UserError. */
export function withTable(
  state: UiState,
  open: OpenWorld,
  show: ShowKind,
  name: string | undefined,
): UiState {
  const trace = currentTrace(state);
  const seed = trace?.model.view.recording.seed ?? 1;
  const where = name ?? (isPerNode(show) ? defaultNode(state, open) : undefined);
  const { world } = open;
  const shown =
    world.kind === "cluster"
      ? showTable(world, show, where, { seed })
      : showInLab(world, show, where, { seed });
  const table = typeof shown === "string" ? tableOfText(shown) : shown;
  const title = where === undefined ? show : `${show} ${where}`;
  const before = state.screens.filter((screen) => screen.kind !== "table");
  return withPushed(
    { ...state, screens: before },
    { kind: "table", open, show, name: where, title, table, selected: 0, column: 0, filter: "" },
  );
}

/** Where the packet is, if it is in this world; else the first node. */
function defaultNode(state: UiState, { world }: OpenWorld): string | undefined {
  const trace = currentTrace(state);
  if (trace?.model.sources.world === world) {
    const here = trace.model.steps[trace.at]?.ns;
    if (here !== undefined) return here;
  }
  return world.kind === "cluster" ? world.cluster.nodes[0]?.name : world.lab.namespaces[0];
}

/** What a user error says in one line. */
export function oneLine(error: UserError | UserErrors): string {
  const first = error instanceof UserErrors ? error.errors[0] : error;
  if (first === undefined) return error.message;
  return `${first.message}${first.details.help === undefined ? "" : `; ${first.details.help}`}`;
}
