import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { CniHost } from "../../src/kube/cni/host.js";
import { cniPlugins } from "../../src/kube/cni/index.js";
import { runPlugin } from "../../src/kube/cni/run.js";
import { prepare } from "./cni-fixtures.js";

interface Step {
  readonly plugin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: unknown;
  readonly exit?: number;
  readonly output?: unknown;
  readonly stderr?: string;
  readonly look?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly run?: unknown;
}

interface Case {
  readonly id: string;
  readonly title: string;
  readonly steps: readonly Step[];
}

const cases = ["cni.json", "cni-portmap6.json"].flatMap((file) => {
  const { cases: read } = JSON.parse(
    readFileSync(new URL(`../golden/${file}`, import.meta.url), "utf8"),
  ) as { cases: readonly Case[] };
  return read;
});

/** Cases of plugins and options that later issues bring, each with its reason. */
const later: ReadonlyMap<string, string> = new Map();

/** A bridge takes the lowest MAC of its ports: nodes by whose name chance falls as it did in the recording. */
const hostNames: ReadonlyMap<string, string> = new Map([["bridge-vlan-gateway", "host2"]]);

/** Random values of the recording and ours, matched one to one. */
class Placeholders {
  readonly #ours = new Map<string, string>();

  /** Our value for a recorded text, as far as it is known. */
  fill(text: string): string {
    return text.replace(/<(mac|veth)\d+>/g, (name) => this.#ours.get(name) ?? name);
  }

  /** Learns from an output that has the recorded shape: the same JSON with other random values. */
  learn(recorded: unknown, ours: unknown): void {
    if (
      typeof recorded === "string" &&
      typeof ours === "string" &&
      /^<(mac|veth)\d+>$/.test(recorded)
    ) {
      if (!this.#ours.has(recorded) && ![...this.#ours.values()].includes(ours))
        this.#ours.set(recorded, ours);
    } else if (
      typeof recorded === "object" &&
      recorded !== null &&
      typeof ours === "object" &&
      ours !== null
    ) {
      for (const [key, value] of Object.entries(recorded))
        this.learn(value, (ours as Record<string, unknown>)[key]);
    }
  }
}

function play(steps: readonly Step[], name: string): void {
  const host = new CniHost(name);
  for (const name of ["c1", "c2"]) host.addSandbox(`/run/netns/${name}`, name);
  const known = new Placeholders();
  for (const [index, step] of steps.entries()) {
    const where = `step ${index + 1}`;
    if (step.plugin !== undefined) {
      const stdin =
        typeof step.config === "string" ? step.config : known.fill(JSON.stringify(step.config));
      const outcome = runPlugin(host, step.plugin, { env: step.env ?? {}, stdin });
      const output: unknown = outcome.stdout === "" ? "" : JSON.parse(outcome.stdout);
      known.learn(step.output, output);
      expect(JSON.stringify(output), where).toBe(known.fill(JSON.stringify(step.output)));
      expect(outcome.exit, where).toBe(step.exit);
      expect(outcome.stderr.trim(), where).toBe(step.stderr ?? "");
    } else if (typeof step.run === "string") {
      prepare(host, step.run);
    } else if (step.files !== undefined) {
      const files = [...host.files].map(
        ([file, content]) => [file.replace("/var/lib/cni/networks/", ""), content] as const,
      );
      expect(Object.fromEntries(files.toSorted(([a], [b]) => (a < b ? -1 : 1))), where).toEqual(
        step.files,
      );
    }
  }
}

describe("the recorded CNI plugins", () => {
  let passed = 0;
  for (const { id, title, steps } of cases) {
    if (later.has(id)) continue;
    test(`${id}: ${title}`, () => {
      play(steps, hostNames.get(id) ?? "host");
      passed++;
    });
  }

  test("every case is run, or left for later with a reason", () => {
    const ours = new Set(cniPlugins.map(({ name }) => name));
    for (const { id, steps } of cases) {
      const modelled = steps.every(({ plugin }) => plugin === undefined || ours.has(plugin));
      if (!modelled) expect(later.has(id), id).toBe(true);
    }
    for (const id of later.keys())
      expect(
        cases.some((recorded) => recorded.id === id),
        id,
      ).toBe(true);
  });

  afterAll(() => {
    const left = [...later].map(([id, why]) => `${id} (${why})`).join(", ");
    process.stdout.write(
      `cni.json, cni-portmap6.json: ${passed} of ${cases.length - later.size} cases equal, ${later.size} left for later: ${left}\n`,
    );
  });
});
