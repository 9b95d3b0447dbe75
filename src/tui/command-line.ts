import { nearest } from "../base/nearest.js";
import type { ShowKind } from "../lab/show.js";
import type { UiState } from "./ui-state.js";
import { currentTrace } from "./ui-state.js";

/** What can be shown as a table, by its `:` name. */
export const SHOW_WORDS: Readonly<Record<string, ShowKind>> = {
  nodes: "nodes",
  pods: "pods",
  services: "services",
  endpoints: "endpoints",
  rules: "rules",
  routes: "routes",
  ct: "ct",
  fdb: "fdb",
  neigh: "neigh",
  ipam: "ipam",
  dns: "dns",
};

/** Kinds that belong to one node or pod. */
export const PER_NODE: readonly string[] = ["rules", "routes", "ct", "fdb", "neigh"];

/** The words of the command line, with what follows them. */
export const WORDS: readonly {
  readonly word: string;
  readonly args: string;
  readonly label: string;
}[] = [
  { word: "trace", args: "SRC DST [--seed N] [--proto P] …", label: "send a packet" },
  { word: "world", args: "", label: "what is in the world" },
  ...Object.keys(SHOW_WORDS).map((word) => ({
    word,
    args: PER_NODE.includes(word) ? "[NODE]" : "[NAME]",
    label: `table of ${word}`,
  })),
  { word: "packets", args: "", label: "packets of this run" },
  { word: "traces", args: "N", label: "show trace N" },
  { word: "filter", args: "EXPR", label: "filter the rows" },
  { word: "locate", args: "", label: "find the step where a packet is lost: seen here?" },
  { word: "export", args: "FILE", label: "write the trace: .json, .pcapng, .txt" },
  { word: "help", args: "", label: "keys" },
  { word: "q", args: "", label: "back" },
  { word: "quit", args: "", label: "quit at once" },
];

export type ParsedCommand =
  | { readonly kind: "step"; readonly n: number }
  | { readonly kind: "trace"; readonly words: string }
  | { readonly kind: "show"; readonly show: ShowKind; readonly name: string | undefined }
  | { readonly kind: "filter" | "export"; readonly text: string }
  | { readonly kind: "traces"; readonly n: number }
  | { readonly kind: "packets" | "locate" | "help" | "back" | "quit" }
  | { readonly kind: "mistake"; readonly message: string };

export function parseCommand(text: string): ParsedCommand {
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return { kind: "step", n: Number(trimmed) };
  const [word = "", ...rest] = trimmed.split(/\s+/);
  const argument = trimmed.slice(word.length).trim();
  const show = SHOW_WORDS[word] ?? (word === "world" ? "pods" : undefined);
  if (show !== undefined) return { kind: "show", show, name: rest[0] };
  switch (word) {
    case "trace":
      return argument === ""
        ? { kind: "mistake", message: "trace needs SRC and DST: trace shop/web-0 shop/api:80" }
        : { kind: "trace", words: argument };
    case "traces":
      return /^\d+$/.test(argument)
        ? { kind: "traces", n: Number(argument) }
        : { kind: "mistake", message: "traces needs a number: traces 1" };
    case "filter":
      return { kind: "filter", text: argument };
    case "export":
      return argument === ""
        ? { kind: "mistake", message: "export needs a file: export trace.json" }
        : { kind: "export", text: argument };
    case "packets":
    case "locate":
    case "help":
    case "quit":
      return { kind: word };
    case "q":
      return { kind: "back" };
    default: {
      const near = nearest(
        word,
        WORDS.map((one) => one.word),
      );
      return {
        kind: "mistake",
        message: `no command "${word}"${near === undefined ? "; Tab lists them" : `; did you mean ${near}?`}`,
      };
    }
  }
}

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
  return {
    start,
    words: candidates(first, rest, state).filter((one) => one.startsWith(word) && one !== word),
  };
}

function candidates(first: string, before: readonly string[], state: UiState): readonly string[] {
  if (first === "") return WORDS.map(({ word }) => word);
  const names = namesIn(state);
  if (first === "trace") {
    const places = before.filter((word) => !word.startsWith("-")).length;
    const options = ["--seed", "--proto", "--sport", "--ttl", "--endpoint", "--one-way"];
    const last = before.at(-1);
    if (last === "--proto") return ["tcp", "udp", "icmp"];
    if (last === "--endpoint") return names.pods;
    return places === 0
      ? [...names.pods, ...names.nodes]
      : places === 1
        ? [...names.services, ...names.pods, ...names.nodes]
        : options;
  }
  if (PER_NODE.includes(first)) return [...names.nodes, ...names.pods];
  if (first === "nodes") return names.nodes;
  if (first === "pods") return names.pods;
  return first === "services" ? names.services.map((name) => name.replace(/:.*/, "")) : [];
}

/** Names of the world, as commands take them. */
export function namesIn(state: UiState): {
  readonly pods: readonly string[];
  readonly nodes: readonly string[];
  readonly services: readonly string[];
} {
  const world = state.world?.world ?? currentTrace(state)?.model.sources.world;
  if (world?.kind !== "cluster") return { pods: [], nodes: [], services: [] };
  const { pods, nodes, services } = world.cluster;
  return {
    pods: pods.map(({ key }) => key),
    nodes: nodes.map(({ name }) => name),
    services: services.flatMap(({ object }) =>
      (object.spec?.ports ?? []).map(
        ({ port }) =>
          `${object.metadata?.namespace ?? "default"}/${object.metadata?.name ?? ""}:${port}`,
      ),
    ),
  };
}

/** `web-0 > api.shop`: what a trace is called. */
export function parseTraceWords(words: string):
  | {
      readonly source: string;
      readonly destination: string;
      readonly options: ReadonlyMap<string, string>;
    }
  | string {
  const options = new Map<string, string>();
  const places: string[] = [];
  const parts = words.trim().split(/\s+/);
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index] ?? "";
    if (!part.startsWith("--")) {
      places.push(part);
      continue;
    }
    if (part === "--one-way") options.set(part, "");
    else {
      const value = parts[++index];
      if (!["--seed", "--proto", "--sport", "--ttl", "--endpoint"].includes(part))
        return `no option ${part}`;
      if (value === undefined) return `${part} needs a value`;
      options.set(part, value);
    }
  }
  const [source, destination, more] = places;
  if (source === undefined || destination === undefined)
    return "trace needs SRC and DST: shop/web-0 shop/api:80";
  return more === undefined ? { source, destination, options } : `"${more}" is one word too many`;
}
