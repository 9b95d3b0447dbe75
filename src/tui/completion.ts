import { isPerNode, TRACE_FLAGS, TRACE_OPTIONS, WORDS } from "./command-line.js";
import { type Names, noNames } from "./names.js";
import { currentWorld, type UiState } from "./ui-state.js";

export interface Completion {
  /** Where the word that is being completed starts. */
  readonly start: number;
  readonly words: readonly string[];
}

/** What can stand at the end of a command line. */
export function completeCommand(text: string, state: UiState): Completion {
  const word = /\S*$/.exec(text)?.[0] ?? "";
  const start = text.length - word.length;
  const [first = "", ...rest] = text.slice(0, start).trim().split(/\s+/);
  const from = (words: readonly string[]): readonly string[] =>
    words.filter((one) => one.startsWith(word) && one !== word);
  if (first === "") return { start, words: from(WORDS.map((one) => one.word)) };
  const names = currentWorld(state)?.sources.names ?? noNames;
  const options = from(candidates(first, rest, names, state));
  return { start, words: options };
}

function candidates(
  first: string,
  before: readonly string[],
  names: Names,
  state: UiState,
): readonly string[] {
  if (first === "trace" || first === "why") return traceWords(first, before, names);
  if (first === "matrix") return matrixWords(before.at(-1), names, state);
  if (first === "open") return state.worlds;
  if (isPerNode(first)) return [...names.nodes, ...names.pods];
  switch (first) {
    case "nodes":
      return names.nodes;
    case "pods":
    case "dns":
      return names.pods;
    case "services":
    case "endpoints":
      return [...new Set(names.services.map((name) => name.replace(/:.*/, "")))];
    case "policies":
      return names.policies;
    default:
      return [];
  }
}

function traceWords(first: string, before: readonly string[], names: Names): readonly string[] {
  const last = before.at(-1);
  if (last === "--proto") return ["tcp", "udp", "icmp"];
  if (last === "--endpoint") return names.pods;
  if (last === "--in") return names.devices;
  const places = before.filter(
    (word, at) => !word.startsWith("-") && !TRACE_OPTIONS.includes(before[at - 1] ?? ""),
  );
  if (places.length === 0) return [...names.pods, ...names.nodes];
  if (places.length === 1)
    return [...names.services, ...names.urls, ...names.pods, ...names.nodes, ...names.goals];
  const options = first === "why" ? ["--proto"] : [...TRACE_OPTIONS, ...TRACE_FLAGS];
  return options.filter((option) => !before.includes(option));
}

function matrixWords(last: string | undefined, names: Names, state: UiState): readonly string[] {
  if (last === "-n") return names.namespaces;
  if (last === "--diff") return state.worlds;
  return last === "--ports" ? [] : ["-n", "--ports", "--diff"];
}
