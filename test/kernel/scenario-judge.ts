import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ScenarioRecording, StepRecording } from "../../src/core/scenario-recording.js";
import type { TraceEvent } from "../../src/core/trace.js";
import type { Lab, Listener } from "../../src/lab/lab.js";
import { labScript, netnsName } from "../../src/lab/shell.js";
import { formatIp } from "../../src/wire/ip.js";
import { withProfile } from "./judge.js";
import type { SeenFrame } from "./normalise.js";

/** Scenarios judged in this process, for names of their own. */
let scenarios = 0;

/** What a command that the scenario shows printed. */
interface Output {
  readonly ns: string;
  readonly argv: readonly string[];
  readonly text: string;
}

/** What a scenario left behind, on the real kernel or in the emulator. */
export interface ScenarioSeen {
  /** What the program of each step that sent something was told. */
  readonly results: readonly string[];
  readonly frames: readonly SeenFrame[];
  readonly outputs: readonly Output[];
}

/** One thing that the judge's hands do. */
type HandAction = { readonly do: string } & Readonly<Record<string, unknown>>;

export interface ScenarioLab {
  readonly lab: Lab;
  /** Namespaces whose frames count, those that come later too. */
  readonly watched: readonly string[];
  /** What the programs of pods that come later listen on. */
  readonly listeners: readonly Listener[];
}

/** Does on the real kernel what the emulator did: the same commands in the same order, the same sends between them. */
export async function judgeScenario(
  recording: ScenarioRecording,
  { lab, watched, listeners }: ScenarioLab,
): Promise<ScenarioSeen> {
  const prefix = `hw${process.pid}-s${scenarios++}-`;
  const folder = mkdtempSync(join(tmpdir(), "hopwise-scenario-"));
  const script = join(folder, "lab.sh");
  writeFileSync(
    script,
    withProfile(labScript(lab, { prefix, later: comers(recording) }), lab, prefix),
  );
  try {
    await run("sh", [script]);
    const spec = {
      namespaces: Object.fromEntries(lab.namespaces.map((ns) => [ns, netnsName(ns, prefix)])),
      watched,
      listeners: lab.listeners.map(spoken),
      actions: recording.steps.flatMap((step) => actionsOf(step, listeners, prefix)),
    };
    const agent = new URL("scenario_agent.py", import.meta.url).pathname;
    const seen: {
      readonly results: readonly string[];
      readonly outputs: readonly Output[];
      readonly frames: readonly (Omit<SeenFrame, "bytes"> & { readonly bytes: string })[];
    } = JSON.parse(await run("python3", [agent], JSON.stringify(spec)));
    return {
      ...seen,
      frames: seen.frames.map((frame) => ({
        ...frame,
        bytes: Uint8Array.from(Buffer.from(frame.bytes, "hex")),
      })),
    };
  } finally {
    await run("sh", [script, "down"]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Namespaces that the scenario makes: they go too when a run is cut short. */
function comers({ steps }: ScenarioRecording): readonly string[] {
  return steps.flatMap(({ before, events }) =>
    [...before, ...events].flatMap((event) =>
      event.kind === "object" && event.action === "created" && event.object.startsWith("namespace ")
        ? [event.object.slice("namespace ".length)]
        : [],
    ),
  );
}

function spoken(one: Listener): object {
  return { ...one, address: formatIp(one.address) };
}

/** The commands of a step in their order, and then what it sends. */
function actionsOf(
  step: StepRecording,
  listeners: readonly Listener[],
  prefix: string,
): readonly HandAction[] {
  const events = [...step.before, ...step.events];
  const changes = events.flatMap((event) => changeOf(event, listeners, prefix));
  return [...changes, ...sendOf(step), ...(step.title.startsWith("wait") ? [settle(step)] : [])];
}

function changeOf(
  event: TraceEvent,
  listeners: readonly Listener[],
  prefix: string,
): readonly HandAction[] {
  if (event.kind === "command") {
    const { ns, argv, stdin, code, by } = event;
    // The emulator's own look at the table decides what is deleted; the real one is looked at by what is deleted.
    if (argv.includes("-L") && by !== "you") return [];
    const words = argv.map((word, index) =>
      argv[0] === "ip" && argv[index - 1] === "netns" ? netnsName(word, prefix) : word,
    );
    return [{ do: "run", ns, argv: words, stdin, code, shown: by === "you" }];
  }
  if (event.kind !== "object") return [];
  const [, key = ""] = /^(?:namespace|the programs of pod) (\S+)$/.exec(event.object) ?? [];
  if (event.object.startsWith("namespace "))
    return event.action === "created"
      ? [
          {
            do: "add",
            ns: key,
            netns: netnsName(key, prefix),
            knobs: ["net.ipv4.igmp_link_local_mcast_reports=0"],
          },
        ]
      : [{ do: "remove", ns: key }];
  if (key === "") return [];
  return event.action === "created"
    ? [{ do: "listen", listeners: listeners.filter(({ ns }) => ns === key).map(spoken) }]
    : [{ do: "stop", ns: key }];
}

function sendOf({ sent, title }: StepRecording): readonly HandAction[] {
  if (sent === undefined) return [];
  const { sourceNs: ns, protocol, address, port, sourcePort } = sent.recording.request;
  const name = sent.connection ?? title;
  const common = { name, data: "hopwise", limit: 1 };
  if (title.startsWith("send")) return [{ do: "send", ...common }];
  if (title.startsWith("close")) return [{ do: "close", name }];
  return [{ do: "open", ns, protocol, address, port, sourcePort, ...common }];
}

function settle(step: StepRecording): HandAction {
  return { do: "settle", seconds: (step.to - step.from) / 1_000_000 };
}

function run(program: string, argv: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const running = execFile(program, argv, { maxBuffer: 1 << 28 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${error.message}\n${stderr}`)),
    );
    running.stdin?.end(input);
  });
}
