import { UserError } from "../base/errors.js";
import type { PortProbe } from "../kube/policy/compile.js";
import { portProbe } from "../kube/policy/port-probe.js";
import { connectivityMatrix, type Matrix } from "../kube/policy/matrix.js";
import { targetsOf } from "../kube/policy/targets.js";
import { textsWithFix } from "../lab/apply-fix.js";
import { askWhy, clusterWithPolicies, type WhyQuestion } from "../lab/ask-why.js";
import { collectScript } from "../lab/collect-script.js";
import { loadWorld, type World } from "../lab/world.js";
import { replayCapture } from "./capture-job.js";
import { parseTraceWords } from "./command-line.js";
import { type Item, item } from "./items.js";
import { traceWords, withNewTrace, withTable } from "./requests.js";
import { SecondMatrix } from "./second-matrix.js";
import {
  currentWorld,
  type Job,
  openWorldOf,
  type OpenWorld,
  type UiState,
  WHAT_IF,
  withPushed,
} from "./ui-state.js";
import { Sources } from "./sources.js";
import { whyItems } from "./why-items.js";
import { worldItems } from "./world-items.js";

/** What jobs need from outside: files are read above this floor. */
export interface Outside {
  /** Reads a world as `-w` does. Throws UserError. */
  readonly openWorld: (paths: readonly string[]) => World;
  /** Reads a file of bytes. Throws UserError. */
  readonly readBytes: (path: string) => { readonly file: string; readonly bytes: Uint8Array };
}

/**
 * Work in pieces: each `yield` says what is being done next, and between them keys are read. It ends with how the state
 * changes. Throws UserError.
 */
export type Work = Generator<string, (state: UiState) => UiState, void>;

export function workOf(job: Job, state: UiState, outside: Outside): Work {
  switch (job.kind) {
    case "trace":
      return sendPacket(job.open ?? needWorld(state), job.words);
    case "show":
      return showTable(needWorld(state), job);
    case "worlds":
      return listWorlds(state);
    case "world":
      return lookAtWorld(needWorld(state));
    case "open":
      return openWorld(job.paths, outside);
    case "collect":
      return showCollect();
    case "why":
      return askPolicies(job.open ?? needWorld(state), job.words);
    case "fix":
      return applyFix(job);
    case "matrix":
      return makeMatrix(needWorld(state), job.words, outside);
    case "replay":
      return replayCapture(needWorld(state), job.words, outside);
    default:
      return job satisfies never;
  }
}

function needWorld(state: UiState): OpenWorld {
  const open = currentWorld(state);
  if (open === undefined)
    throw new UserError("WORLD_NONE", "no world is open", { help: ":open PATH, or :worlds" });
  return open;
}

function* sendPacket(open: OpenWorld, words: string): Work {
  yield `sending ${words}`;
  const model = traceWords(open, words);
  return (state) => withNewTrace(state, model);
}

function* showTable(open: OpenWorld, { show, name }: Extract<Job, { kind: "show" }>): Work {
  yield `${show}${name === undefined ? "" : ` of ${name}`} in ${open.name}`;
  return (state) => withTable(state, open, show, name);
}

function* listWorlds({ worlds }: UiState): Work {
  yield "worlds";
  return (state) => withWorlds(state, worlds);
}

/** The state with the list of worlds in front. */
export function withWorlds(state: UiState, worlds: readonly string[]): UiState {
  return withPushed(state, {
    kind: "worlds",
    open: undefined,
    title: "Worlds",
    selected: 0,
    items: [
      ...worlds.map((name) => item(name, { kind: "open", paths: name.split(" ") })),
      item("collect: the script that gathers a dump of a cluster", { kind: "collect" }),
    ],
  });
}

function* lookAtWorld(open: OpenWorld): Work {
  yield `checking ${open.name}`;
  const items = worldItems(open);
  return (state) => withWorld(state, open, items);
}

/** The state with what is in a world in front. */
export function withWorld(state: UiState, open: OpenWorld, items: readonly Item[]): UiState {
  const again = state.screens.at(-1)?.kind === "world";
  const below = again ? { ...state, screens: state.screens.slice(0, -1) } : state;
  return withPushed(below, {
    kind: "world",
    open,
    title: "World",
    items,
    selected: 0,
  });
}

function* openWorld(paths: readonly string[], outside: Outside): Work {
  const name = paths.join(" ");
  yield `reading ${name}`;
  const open = openWorldOf(new Sources(outside.openWorld(paths)));
  yield `checking ${name}`;
  const items = worldItems(open);
  return (state) =>
    withWorld(
      {
        ...state,
        world: open,
        worlds: [...new Set([...state.worlds, name])],
      },
      open,
      items,
    );
}

function* showCollect(): Work {
  yield "collect";
  const lines = collectScript({ nodes: undefined }).split("\n");
  return (state) =>
    withPushed(state, {
      kind: "worlds",
      open: undefined,
      title: "hopwise collect > collect.sh; sh collect.sh > dump",
      selected: 0,
      items: lines.map((line) => item(line)),
    });
}

function* askPolicies(open: OpenWorld, words: string): Work {
  const question = questionOf(words);
  const cluster = clusterWithPolicies(open.world);
  yield `asking the policies: ${words}`;
  const answers = askWhy(cluster, question);
  return (state) => withWhy(state, open, words, question, answers);
}

function withWhy(
  state: UiState,
  open: OpenWorld,
  words: string,
  question: WhyQuestion,
  answers: ReturnType<typeof askWhy>,
): UiState {
  return withPushed(state, {
    kind: "why",
    open,
    title: `Why ${question.source} > ${question.destination}`,
    items: whyItems(open, question, answers),
    selected: 0,
    words,
  });
}

/** Makes a fix in the texts of the world, reads them again, and asks again. */
function* applyFix({ open, words, fix }: Extract<Job, { kind: "fix" }>): Work {
  const { world } = open;
  if (world.kind !== "cluster") throw new UserError("FIX_LAB", `${open.name} has no policies`);
  yield `what if: ${fix.title}`;
  const texts = textsWithFix(world, fix);
  const changed = loadWorld(texts, `${open.name.replace(WHAT_IF, "")}${WHAT_IF}`);
  const fixed = openWorldOf(new Sources(changed));
  const question = questionOf(words);
  yield `asking the policies again: ${words}`;
  const answers = askWhy(clusterWithPolicies(changed), question);
  return (state) => ({
    ...withWhy(state, fixed, words, question, answers),
    message: { kind: "note", text: `what if: ${fix.title}` },
  });
}

function questionOf(words: string): WhyQuestion {
  const parsed = parseTraceWords(words);
  if (typeof parsed === "string") throw new UserError("USAGE", parsed);
  const { source, destination, options } = parsed;
  return { source, destination, protocol: (options.get("--proto") ?? "tcp").toUpperCase() };
}

function* makeMatrix(open: OpenWorld, words: string, outside: Outside): Work {
  const options = matrixOptions(words);
  const make = (world: World): Matrix =>
    connectivityMatrix(targetsOf(clusterWithPolicies(world)).world, options);
  const pods = clusterWithPolicies(open.world).pods.length;
  yield `matrix of ${pods} pods`;
  const matrix = make(open.world);
  let other: SecondMatrix | undefined;
  if (options.diff !== undefined) {
    yield `reading ${options.diff}`;
    const world = outside.openWorld([options.diff]);
    yield `matrix of ${options.diff}`;
    other = new SecondMatrix(options.diff, make(world));
    for (const done of other.compare(matrix))
      yield `comparing ${done} of ${matrix.from.length} rows`;
  }
  return (state) =>
    withPushed(state, {
      kind: "matrix",
      open,
      matrix,
      other,
      changesOnly: other !== undefined,
      row: 0,
      column: 0,
      filter: "",
    });
}

interface MatrixWords {
  readonly namespaces: readonly string[] | undefined;
  readonly ports: readonly PortProbe[] | undefined;
  readonly diff: string | undefined;
}

/** `-n shop,batch --ports 80,udp/53 --diff WORLD`. Throws UserError. */
function matrixOptions(words: string): MatrixWords {
  const parts = words.split(/\s+/).filter((part) => part !== "");
  const found = new Map<string, string>();
  for (let index = 0; index < parts.length; index += 2) {
    const [name = "", value] = [parts[index], parts[index + 1]];
    if (name !== "-n" && name !== "--ports" && name !== "--diff")
      throw new UserError("USAGE", `matrix has no option "${name}"`, {
        help: "it has -n NAMESPACE,.. --ports 80,udp/53 --diff WORLD",
      });
    if (value === undefined) throw new UserError("USAGE", `${name} needs a value`);
    found.set(name, value);
  }
  return {
    namespaces: found.get("-n")?.split(","),
    ports: found.get("--ports")?.split(",").map(portProbe),
    diff: found.get("--diff"),
  };
}
