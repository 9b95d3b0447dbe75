import { clusterLab } from "../lab/cluster-lab.js";
import type { World } from "../lab/world.js";
import { type Names, namesIn } from "./names.js";

/** The texts that steps point into: the world's own files, and the rules that hopwise wrote for its nodes. */
export class Sources {
  readonly world: World;
  #rendered: ReadonlyMap<string, string> | undefined;
  readonly #lines = new Map<string, readonly string[]>();
  #names: Names | undefined;

  constructor(world: World) {
    this.world = world;
  }

  /** What commands can name in the world. */
  get names(): Names {
    this.#names ??= namesIn(this.world);
    return this.#names;
  }

  /** The lines of a file, or undefined when nobody has it. */
  lines(file: string): readonly string[] | undefined {
    const known = this.#lines.get(file);
    if (known !== undefined) return known;
    const text =
      this.world.files.find((one) => one.file === file)?.text ?? this.#ruleTexts().get(file);
    const lines = text?.split("\n");
    if (lines !== undefined) this.#lines.set(file, lines);
    return lines;
  }

  /** Rules that were rendered for a node are not in any file of the user: they are rendered again to be shown. */
  #ruleTexts(): ReadonlyMap<string, string> {
    if (this.#rendered === undefined) {
      const commands = this.world.kind === "cluster" ? clusterLab(this.world).lab.commands : [];
      this.#rendered = new Map(
        commands.flatMap(({ stdin, stdinName }) =>
          stdin === undefined || stdinName === undefined ? [] : [[stdinName, stdin] as const],
        ),
      );
    }
    return this.#rendered;
  }
}
