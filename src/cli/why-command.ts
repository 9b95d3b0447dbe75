import type { Cluster } from "../kube/cluster.js";
import { parseDialect } from "../kube/policy/dialect.js";
import { type Targets, targetsOf } from "../kube/policy/targets.js";
import { whyJson } from "../kube/policy/why-json.js";
import { assumptionText, fitLines, whyTexts } from "../kube/policy/why-text.js";
import { askWhy, clusterWithPolicies } from "../lab/ask-why.js";
import { loadWhatIf } from "../lab/what-if/what-if.js";
import type { WhyCommandOptions } from "./commands/why.js";
import { readWorlds } from "./files.js";
import { whatIf, worldPaths } from "./options.js";
import { columnsOf, type Streams } from "./streams.js";

/** `hopwise why SRC DST`: what the policies say of every backend of the destination. Exit 0 allowed, 1 denied, 3 not certain. */
export function whyCommand(
  source: string,
  destination: string,
  options: WhyCommandOptions,
  streams: Streams,
): number {
  const { name, answers } = askWhy(clusterOf(options.world, options.patch), {
    source,
    destination,
    protocol: options.proto.toUpperCase(),
    dialect: parseDialect(options.dialect),
  });
  sayWhatIf(options, streams);
  if (answers.length === 0) {
    streams.out(`NO-ENDPOINT  ${name} has no ready endpoint: no policy is asked\n`);
    return 1;
  }
  if (options.json === true) {
    streams.out(
      `${JSON.stringify({ v: 1, kind: "Why", answers: answers.map(whyJson) }, undefined, 2)}\n`,
    );
  } else {
    const lines = whyTexts(answers, {
      all: options.verbose ?? false,
      ...(options.fix === undefined ? {} : { fix: options.fix }),
    });
    const width = columnsOf(streams) ?? Number.POSITIVE_INFINITY;
    streams.out(`${fitLines(lines, width).join("\n")}\n`);
    streams.err(`note: ${assumptionText(answers)}\n`);
  }
  return Math.max(
    ...answers.map(({ verdict }) => ({ allow: 0, deny: 1, unknown: 3 })[verdict.outcome]),
  );
}

/** On standard error beside a document. */
function sayWhatIf({ patch, json }: WhyCommandOptions, streams: Streams): void {
  if (patch === undefined) return;
  if (json === true) streams.err(whatIf(patch));
  else streams.out(whatIf(patch));
}

/** The policies of a cluster's world, with the names that people use. Throws UserError. */
export function policyTargets(
  world: readonly string[] | undefined,
  dialect: string,
  patches: readonly string[] = [],
): Targets {
  return targetsOf(clusterOf(world, patches), parseDialect(dialect));
}

/** The cluster of a world, with manifests over it. Throws UserError. */
export function clusterOf(
  world: readonly string[] | undefined,
  patches: readonly string[] = [],
): Cluster {
  const paths = worldPaths(world);
  const changes = { patches: readWorlds(patches), set: [], without: [] };
  return clusterWithPolicies(loadWhatIf(readWorlds(paths), paths.join(" "), changes));
}
