import type { Lab } from "../../src/lab/lab.js";
import { comparable, type Observation, type ProbeSpec } from "../kernel/observation.js";
import { limit } from "./profile.js";

/** What one side made of a lab. */
export interface RunOfLab {
  /** By command: what it complained about, or null when it was taken. */
  readonly failures: readonly (string | null)[];
  /** What the emulator said it cannot know. */
  readonly unknown: readonly string[];
  readonly seen: Observation;
}

/** A lab's probes with their time limit. */
export function probesOf(lab: Lab): readonly ProbeSpec[] {
  return lab.probes.map((probe) => ({ ...probe, limit }));
}

/** Everything that is compared, as one text. A refused command counts as refused; its words are tested elsewhere. */
export function textOf({ failures, seen }: RunOfLab, lab: Lab): string {
  const refused = failures.flatMap((failure, index) =>
    failure === null ? [] : [`refused: ${lab.commands[index]?.argv.join(" ") ?? ""}`],
  );
  return [...refused, comparable(seen, lab, lab.probes)].join("\n");
}

/** The lines that only one side has, with the line before them, for people to read. */
export function difference(real: string, emulated: string): readonly string[] {
  const [a, b] = [real.split("\n"), emulated.split("\n")];
  const lines: string[] = [];
  let title = "";
  const [sectionsA, sectionsB] = [sections(a), sections(b)];
  for (const name of new Set([...sectionsA.keys(), ...sectionsB.keys()])) {
    const [left, right] = [sectionsA.get(name) ?? [], sectionsB.get(name) ?? []];
    if (left.join("\n") === right.join("\n")) continue;
    title = name === "" ? "results" : name;
    lines.push(`[${title}]`);
    const length = Math.max(left.length, right.length);
    for (let at = 0; at < length; at++) {
      if (left[at] === right[at]) continue;
      if (left[at] !== undefined) lines.push(`  kernel:   ${left[at]}`);
      if (right[at] !== undefined) lines.push(`  emulator: ${right[at]}`);
    }
  }
  return lines;
}

function sections(lines: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  let name = "";
  for (const line of lines) {
    if (line.startsWith("refused: ")) name = "refused";
    else if (line.startsWith("probe ")) name = "";
    if (/^(frames|rules|sets|conntrack|neighbours) /.test(line)) name = line;
    else if (line !== "") found.set(name, [...(found.get(name) ?? []), line]);
  }
  return found;
}
