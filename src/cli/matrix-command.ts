import { writeFileSync } from "node:fs";
import { UserError } from "../base/errors.js";
import type { PortProbe } from "../kube/policy/compile.js";
import { connectivityMatrix, type Matrix } from "../kube/policy/matrix.js";
import { diffMatrices, diffText } from "../kube/policy/matrix-diff.js";
import { matrixCsv, matrixDot, matrixJson, matrixText } from "../kube/policy/matrix-text.js";
import { unreachable } from "../base/errors.js";
import type { MatrixCommandOptions } from "./commands/matrix.js";
import { whatIf } from "./options.js";
import type { Streams } from "./streams.js";
import { policyTargets } from "./why-command.js";

/** `hopwise matrix`: every pair of pods. Exit 0; with --diff or --patch 1 when something changes. */
export function matrixCommand(options: MatrixCommandOptions, streams: Streams): number {
  const { patch } = options;
  const make = (
    world: readonly string[] | undefined,
    grouped: boolean,
    patches: readonly string[] = [],
  ): Matrix =>
    connectivityMatrix(policyTargets(world, options.dialect, patches).world, {
      namespaces: options.namespaces?.split(","),
      ports: options.ports === undefined ? undefined : options.ports.split(",").map(portProbe),
      grouped,
    });
  const write = (lines: readonly string[]): void => {
    const text = lines.map((line) => `${line}\n`).join("");
    if (options.out === undefined) streams.out(text);
    else writeFileSync(options.out, text);
  };
  if (options.diff !== undefined || patch !== undefined) {
    const other = options.diff === undefined ? options.world : [options.diff];
    const diff = diffMatrices(make(options.world, false), make(other, false, patch));
    write([...(patch === undefined ? [] : [whatIf(patch).trimEnd()]), ...diffText(diff)]);
    return diff.opened + diff.closed + diff.other === 0 ? 0 : 1;
  }
  const matrix = make(options.world, options.group ?? false);
  write(linesOf(matrix, options.json === true ? "json" : options.output));
  return 0;
}

function linesOf(matrix: Matrix, format: MatrixCommandOptions["output"]): readonly string[] {
  switch (format) {
    case "text":
      return matrixText(matrix);
    case "json":
      return [JSON.stringify(matrixJson(matrix), undefined, 2)];
    case "csv":
      return matrixCsv(matrix);
    case "dot":
      return matrixDot(matrix);
    default:
      return unreachable(format);
  }
}

/** `80`, `udp/53`. */
function portProbe(text: string): PortProbe {
  const [, protocol = "tcp", digits = ""] = /^(?:(tcp|udp|sctp)\/)?(\d+)$/i.exec(text.trim()) ?? [];
  const port = Number(digits);
  if (digits === "" || port < 1 || port > 65_535)
    throw new UserError("USAGE", `"${text}" is not a port`, { help: "write 80 or udp/53" });
  return { protocol: protocol.toUpperCase(), port };
}
