import { buildLiveCluster } from "../lab/live-cluster.js";
import { parseDialect } from "../kube/policy/dialect.js";
import { checkWorld, type CheckReport } from "../lab/check.js";
import { loadWorld } from "../lab/world.js";
import { buildLab } from "../lab/build.js";
import { safeText } from "../base/safe-text.js";
import { placeText } from "../view/text.js";
import type { CheckCommandOptions } from "./commands/check.js";
import { readWorlds } from "./files.js";
import { worldPaths } from "./options.js";
import type { Streams } from "./streams.js";

/** `hopwise check WORLD`: reads and builds everything, and lists what was found, assumed, unused and not modelled. */
export function checkCommand(
  named: readonly string[] | undefined,
  { json = false, verbose, dialect }: CheckCommandOptions,
  streams: Streams,
): number {
  const paths = worldPaths(named);
  const world = loadWorld(readWorlds(paths), paths.join(" "));
  if (world.kind === "cluster") buildLiveCluster(world, 1);
  else buildLab(world.lab, 1);
  const report = checkWorld(world, {
    verbose,
    dialect: dialect === undefined ? undefined : parseDialect(dialect),
  });
  streams.out(
    json
      ? `${JSON.stringify({ v: 1, kind: "Check", ...report }, undefined, 2)}\n`
      : checkText(report),
  );
  return 0;
}

function checkText({ summary, files, notes }: CheckReport): string {
  const width = Math.max(...files.map(({ file }) => file.length), 0);
  const lines = [
    `ok  ${summary}`,
    ...files.map(
      ({ file, kind, used }) => `file  ${file.padEnd(width)}  ${kind}${used ? "" : "  (not used)"}`,
    ),
    ...notes.map(
      ({ what, text, place }) =>
        `${what}  ${text}${place === undefined ? "" : `  (${placeText(place)})`}`,
    ),
  ];
  return lines.map((line) => `${safeText(line)}\n`).join("");
}
