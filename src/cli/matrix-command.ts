import { writeFileSync } from "node:fs";
import { unreachable, UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import { switches, switchText } from "../kube/policy/dialect.js";
import { portProbe } from "../kube/policy/port-probe.js";
import { connectivityMatrix, type Matrix } from "../kube/policy/matrix.js";
import { diffJson, diffMatrices, diffText } from "../kube/policy/matrix-diff.js";
import { matrixReasons } from "../kube/policy/matrix-reasons.js";
import { matrixSvg } from "../kube/policy/matrix-svg.js";
import { matrixCsv, matrixDot, matrixJson, matrixText } from "../kube/policy/matrix-text.js";
import type { PolicyWorld } from "../kube/policy/world.js";
import type { MatrixCommandOptions } from "./commands/matrix.js";
import { whatIf } from "./options.js";
import { columnsOf, type Streams } from "./streams.js";
import { policyTargets } from "./why-command.js";

/** `hopwise matrix`: every pair of pods. Exit 0; with --diff or --patch 1 when something changes. */
export function matrixCommand(options: MatrixCommandOptions, streams: Streams): number {
  const { patch } = options;
  const make = (
    world: readonly string[] | undefined,
    grouped: boolean,
    patches: readonly string[] = [],
  ): Matrix => {
    const policies = policyTargets(world, options.dialect, patches).world;
    return connectivityMatrix(policies, {
      namespaces: options.namespaces?.split(",").map((name) => knownNamespace(policies, name)),
      ports: options.ports === undefined ? undefined : options.ports.split(",").map(portProbe),
      grouped,
    });
  };
  const write = (lines: readonly string[]): void => {
    const text = lines.map((line) => `${line}\n`).join("");
    if (options.out === undefined) streams.out(text);
    else writeFileSync(options.out, streams.inFile?.(text) ?? text);
  };
  const format = options.json === true ? "json" : options.output;
  if (options.diff !== undefined || patch !== undefined) {
    const other = options.diff === undefined ? options.world : [options.diff];
    const before = make(options.world, false);
    const diff = diffMatrices(before, make(other, false, patch));
    const first = patch === undefined ? [] : [whatIf(patch).trimEnd()];
    if (format === "json") write([JSON.stringify(diffJson(diff), undefined, 2)]);
    else if (format === "text") write([...first, ...diffText(diff)]);
    else
      throw new UserError("USAGE", `changes are printed as text or json, not as ${format}`, {
        help: "leave --diff and --patch out for a picture of one world",
      });
    sayDialect(before, options, streams);
    return diff.opened + diff.closed + diff.other === 0 ? 0 : 1;
  }
  const matrix = make(options.world, options.group ?? false);
  const width = columnsOf(streams, options.out !== undefined);
  write([
    ...linesOf(matrix, format, width),
    ...(options.verbose === true && format === "text" ? matrixReasons(matrix) : []),
  ]);
  sayDialect(matrix, options, streams);
  return 0;
}

/** What all of it takes for granted, beside the answer: the dialect, and with -v every switch of it. */
function sayDialect(
  { compiled }: Matrix,
  { verbose }: MatrixCommandOptions,
  streams: Streams,
): void {
  const { dialect } = compiled.world;
  if (verbose !== true) {
    streams.err(
      `note: dialect ${dialect.name} (-v says what it decides, --dialect takes another)\n`,
    );
    return;
  }
  streams.err(`note: dialect ${dialect.name} takes for granted:\n`);
  for (const name of switches) streams.err(`  ${switchText(dialect, name)}\n`);
}

function knownNamespace({ namespaces }: PolicyWorld, name: string): string {
  if (namespaces.has(name)) return name;
  const near = nearest(name, [...namespaces.keys()]);
  throw new UserError("NAMESPACE_UNKNOWN", `no namespace "${name}"`, {
    help:
      near === undefined
        ? `there are ${[...namespaces.keys()].join(", ")}`
        : `did you mean ${near}?`,
  });
}

function linesOf(
  matrix: Matrix,
  format: MatrixCommandOptions["output"],
  width: number | undefined,
): readonly string[] {
  switch (format) {
    case "text":
      return matrixText(matrix, width);
    case "json":
      return [JSON.stringify(matrixJson(matrix), undefined, 2)];
    case "csv":
      return matrixCsv(matrix);
    case "dot":
      return matrixDot(matrix);
    case "svg":
      return matrixSvg(matrix);
    default:
      return unreachable(format);
  }
}
