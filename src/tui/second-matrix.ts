import { type Matrix, type MatrixLine, probeName, verdictsAt } from "../kube/policy/matrix.js";

/** A second world's matrix beside the first one, asked by name. */
export class SecondMatrix {
  readonly name: string;
  readonly #matrix: Matrix;
  readonly #from: ReadonlyMap<string, MatrixLine>;
  readonly #to: ReadonlyMap<string, MatrixLine>;
  /** Rows in which something is not the same; `compare` finds them. */
  readonly changedRows: Set<string> = new Set();

  constructor(name: string, matrix: Matrix) {
    this.name = name;
    this.#matrix = matrix;
    this.#from = new Map(matrix.from.map((line) => [line.name, line]));
    this.#to = new Map(matrix.to.map((line) => [line.name, line]));
  }

  /** Goes through a matrix row by row and gives how many are done. */
  *compare(before: Matrix): Generator<number, void> {
    let done = 0;
    for (const from of before.from) {
      if (before.to.some((to) => this.change(before, from, to) !== " "))
        this.changedRows.add(from.name);
      yield ++done;
    }
  }

  /** `+` where something opens, `-` where something closes, blank where nothing changes or only one world has the pair. */
  change(before: Matrix, from: MatrixLine, to: MatrixLine): "+" | "-" | "?" | " " {
    const was = verdictsAt(before, from, to) ?? [];
    const changes = was.flatMap(({ probe, verdict }) => {
      const is = this.#verdict(from, to, probeName(probe));
      return is === undefined || is === verdict ? [] : [is];
    });
    if (changes.includes("deny")) return "-";
    return changes.includes("allow") ? "+" : changes.includes("unknown") ? "?" : " ";
  }

  /** What it says of a pair and port; undefined where it has none of them. */
  words(from: MatrixLine, to: MatrixLine, probe: string): string | undefined {
    const verdict = this.#verdict(from, to, probe);
    return verdict === undefined
      ? undefined
      : { allow: "delivered", deny: "denied", unknown: "unknown" }[verdict];
  }

  #verdict(
    from: MatrixLine,
    to: MatrixLine,
    name: string,
  ): "allow" | "deny" | "unknown" | undefined {
    const source = this.#from.get(from.name);
    const goal = this.#to.get(to.name);
    if (source === undefined || goal === undefined) return undefined;
    return verdictsAt(this.#matrix, source, goal)?.find(({ probe }) => probeName(probe) === name)
      ?.verdict;
  }
}
