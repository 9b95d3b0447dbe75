import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Lab } from "../../src/lab/lab.js";
import { formatHex } from "../../src/wire/bytes.js";
import { encodeFrame } from "../../src/wire/frame.js";
import { formatIp } from "../../src/wire/ip.js";
import type { SeenFrame } from "../kernel/normalise.js";
import type { ProbeSpec } from "../kernel/observation.js";
import type { RunOfLab } from "./compare.js";
import {
  builtBy,
  deviceKnobs,
  familyOfLab,
  fuzzProfile,
  realOnlyKnobs,
  saversOf,
  slot,
} from "./profile.js";

/** What the agent answers for one lab. */
interface Answer {
  readonly broken?: string;
  readonly results: readonly string[];
  readonly failures: readonly (string | null)[];
  readonly frames: readonly (Omit<SeenFrame, "bytes"> & { readonly bytes: string })[];
  readonly rules: Readonly<Record<string, string>>;
  readonly conntrack: Readonly<Record<string, string>>;
  readonly neighbours: Readonly<Record<string, string>>;
  readonly sets: Readonly<Record<string, string>>;
  /** How late the latest probe started, in seconds: the machine was busy. */
  readonly late: number;
}

export interface RealRun extends RunOfLab {
  readonly late: number;
}

/** One process that judges labs on the real kernel, one after the other. */
class Hand {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  #answer: ((line: string) => void) | undefined;

  constructor() {
    const path = new URL("agent.py", import.meta.url).pathname;
    this.#process = spawn("python3", [path], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#answer?.(line));
    this.#process.on("exit", () => this.#answer?.('{"broken":"the agent ended"}'));
  }

  run(lab: Lab, probes: readonly ProbeSpec[], distance: number): Promise<RealRun> {
    return new Promise((resolve, reject) => {
      this.#answer = (line) => {
        const answer: Answer = JSON.parse(line);
        if (answer.broken !== undefined) reject(new Error(answer.broken));
        else resolve(runOf(answer));
      };
      this.#process.stdin.write(`${JSON.stringify(specOf(lab, probes, distance))}\n`);
    });
  }

  end(): void {
    this.#process.stdin.end();
  }
}

/** Several labs at once on the real kernel: most of a lab's time is waiting. */
export class RealKernel {
  readonly #idle: Hand[];
  readonly #waiting: ((hand: Hand) => void)[] = [];

  constructor(hands: number) {
    this.#idle = Array.from({ length: hands }, () => new Hand());
  }

  /** Probes start `distance` seconds apart. */
  async run(lab: Lab, probes: readonly ProbeSpec[], distance: number = slot): Promise<RealRun> {
    const hand = this.#idle.pop() ?? (await new Promise<Hand>((give) => this.#waiting.push(give)));
    try {
      return await hand.run(lab, probes, distance);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(hand);
      else next(hand);
    }
  }

  /** Call when nothing runs. */
  end(): void {
    for (const hand of this.#idle) hand.end();
  }
}

function specOf(lab: Lab, probes: readonly ProbeSpec[], distance: number): object {
  const family = familyOfLab(lab);
  return {
    family,
    savers: saversOf(lab),
    built: builtBy(lab),
    namespaces: lab.namespaces,
    deviceProfile: deviceKnobs(family),
    profile: [...realOnlyKnobs(family), ...fuzzProfile(family)],
    commands: lab.commands.map(({ ns, argv, stdin }) => ({ ns, argv, stdin })),
    listeners: lab.listeners.map((one) => ({ ...one, address: formatIp(one.address) })),
    probes: probes.map((one) => ({
      ...one,
      address: formatIp(one.address),
      ttl: one.ttl ?? 0,
      frame: one.frame === undefined ? "" : formatHex(encodeFrame(one.frame)),
    })),
    slot: distance,
  };
}

function runOf(answer: Answer): RealRun {
  const map = (record: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
    new Map(Object.entries(record));
  return {
    failures: answer.failures,
    unknown: [],
    late: answer.late,
    seen: {
      results: answer.results,
      frames: answer.frames.map((frame) => ({
        ...frame,
        bytes: Uint8Array.from(Buffer.from(frame.bytes, "hex")),
      })),
      rules: map(answer.rules),
      conntrack: map(answer.conntrack),
      neighbours: map(answer.neighbours),
      sets: map(answer.sets),
    },
  };
}
