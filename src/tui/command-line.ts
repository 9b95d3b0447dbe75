import { nearest } from "../base/nearest.js";
import type { ShowKind } from "../lab/show.js";
import type { Job } from "./ui-state.js";

/** What can be shown as a table, by its `:` name. */
export const SHOW_WORDS: Readonly<Record<string, ShowKind>> = {
  nodes: "nodes",
  pods: "pods",
  services: "services",
  endpoints: "endpoints",
  policies: "policies",
  rules: "rules",
  routes: "routes",
  ct: "ct",
  fdb: "fdb",
  neigh: "neigh",
  ipam: "ipam",
  dns: "dns",
};

/** Kinds that belong to one node or pod. */
export const PER_NODE: readonly ShowKind[] = ["rules", "routes", "ct", "fdb", "neigh"];

/** The words of the command line, with what follows them. */
export const WORDS: readonly {
  readonly word: string;
  readonly args: string;
  readonly label: string;
}[] = [
  { word: "trace", args: "SRC DST [--seed N] [--proto P] …", label: "send a packet" },
  { word: "why", args: "SRC DST", label: "what the policies say, and what would change it" },
  {
    word: "matrix",
    args: "[-n NS,..] [--ports P,..] [--diff WORLD]",
    label: "who reaches whom",
  },
  {
    word: "replay",
    args: "FILE --at NODE:DEVICE [--first] [--seed N]",
    label: "a capture through the world, packet by packet",
  },
  { word: "world", args: "", label: "what is in the world, and what check says of it" },
  { word: "worlds", args: "", label: "choose another world" },
  { word: "open", args: "PATH …", label: "open a world: a file, a folder or demo:NAME" },
  ...Object.keys(SHOW_WORDS).map((word) => ({
    word,
    args: isPerNode(word) ? "[NODE]" : "[NAME]",
    label: `table of ${word}`,
  })),
  { word: "packets", args: "", label: "packets of this run" },
  { word: "traces", args: "N", label: "show trace N" },
  { word: "filter", args: "EXPR", label: "filter the rows" },
  { word: "locate", args: "", label: "find the step where a packet is lost: seen here?" },
  { word: "export", args: "FILE", label: "write the trace: .json, .pcapng, .txt" },
  { word: "collect", args: "", label: "the script that gathers a dump of a cluster" },
  { word: "help", args: "", label: "keys" },
  { word: "q", args: "", label: "back" },
  { word: "quit", args: "", label: "quit at once" },
];

export function isPerNode(word: string): boolean {
  return PER_NODE.some((show) => show === word);
}

export type ParsedCommand =
  | { readonly kind: "step"; readonly n: number }
  | { readonly kind: "job"; readonly job: Job }
  | { readonly kind: "filter" | "export"; readonly text: string }
  | { readonly kind: "traces"; readonly n: number }
  | { readonly kind: "packets" | "locate" | "help" | "back" | "quit" }
  | { readonly kind: "mistake"; readonly message: string };

export function parseCommand(text: string): ParsedCommand {
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return { kind: "step", n: Number(trimmed) };
  const [word = "", ...rest] = trimmed.split(/\s+/);
  const argument = trimmed.slice(word.length).trim();
  const typed = trimmed;
  const job = (work: Job): ParsedCommand => ({ kind: "job", job: { ...work, typed } });
  const mistake = (message: string): ParsedCommand => ({ kind: "mistake", message });
  const show = Object.hasOwn(SHOW_WORDS, word) ? SHOW_WORDS[word] : undefined;
  if (show !== undefined) return job({ kind: "show", show, name: rest[0] });
  switch (word) {
    case "trace":
    case "why":
      return argument === ""
        ? mistake(`${word} needs SRC and DST: ${word} shop/web-0 shop/api:80`)
        : job({ kind: word, words: argument });
    case "matrix":
      return job({ kind: "matrix", words: argument });
    case "replay":
      return argument === ""
        ? mistake("replay needs a capture: replay web.pcap --at worker-1:eth0")
        : job({ kind: "replay", words: argument });
    case "world":
    case "worlds":
    case "collect":
      return job({ kind: word });
    case "open":
      return argument === ""
        ? mistake("open needs a file, a folder or demo:NAME")
        : job({ kind: "open", paths: rest });
    case "traces":
      return /^\d+$/.test(argument)
        ? { kind: "traces", n: Number(argument) }
        : mistake("traces needs a number: traces 1");
    case "filter":
      return { kind: "filter", text: argument };
    case "export":
      return argument === ""
        ? mistake("export needs a file: export trace.json")
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
      return mistake(
        `no command "${word}"${near === undefined ? "; Tab lists them" : `; did you mean ${near}?`}`,
      );
    }
  }
}

/** Options of a trace that take a value. */
export const TRACE_OPTIONS: readonly string[] = [
  "--seed",
  "--proto",
  "--sport",
  "--ttl",
  "--endpoint",
  "--in",
];

/** Options of a trace that stand alone. */
export const TRACE_FLAGS: readonly string[] = ["--one-way", "-4", "-6"];

/** `SRC DST` and the options behind them; a text says what is wrong. */
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
    if (TRACE_FLAGS.includes(part)) options.set(part, "");
    else if (!part.startsWith("--")) places.push(part);
    else {
      const value = parts[++index];
      if (!TRACE_OPTIONS.includes(part)) {
        const near = nearest(part, [...TRACE_OPTIONS, ...TRACE_FLAGS]);
        return `no option ${part}${near === undefined ? "" : `; did you mean ${near}?`}`;
      }
      if (value === undefined) return `${part} needs a value`;
      options.set(part, value);
    }
  }
  const [source, destination, more] = places;
  if (source === undefined || destination === undefined)
    return "trace needs SRC and DST: shop/web-0 shop/api:80";
  return more === undefined ? { source, destination, options } : `"${more}" is one word too many`;
}
