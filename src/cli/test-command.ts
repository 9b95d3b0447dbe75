import { writeFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { unreachable } from "../base/errors.js";
import type { Cluster } from "../kube/cluster.js";
import { parseDialect } from "../kube/policy/dialect.js";
import { policyProbe, runTests, type TestRun } from "../kube/policy/run-tests.js";
import { parseTestFile, type TestFile } from "../kube/policy/test-file.js";
import { targetsOf } from "../kube/policy/targets.js";
import { isFailure, testGithub, testJunit, testTap, testText } from "../kube/policy/test-report.js";
import { podNameFor } from "../lab/endpoints.js";
import type { TestCommandOptions } from "./commands/test.js";
import { readOne } from "./files.js";
import type { Streams } from "./streams.js";
import { clusterOf } from "./why-command.js";

/** `hopwise test FILE…`: tries what each file expects. Exit 0 when all hold, 1 when one fails. */
export function testCommand(
  files: readonly string[],
  options: TestCommandOptions,
  streams: Streams,
): number {
  const tests = files.map((file) => parseTestFile(readOne(file)));
  const report = { allowUnknown: options.allowUnknown ?? false };
  const dialects = new Set<string>();
  const runs = tests.map((file) => {
    const cluster = clusterFor(file, options);
    const dialect = options.dialect ?? file.dialect ?? "default";
    dialects.add(dialect);
    const targets = targetsOf(cluster, parseDialect(dialect));
    return runTests(
      file,
      policyProbe(targets, (text) => podNameFor(text, cluster)),
    );
  });
  streams.out(`${linesOf(runs, options.output, report).join("\n")}\n`);
  streams.err(
    `note: dialect ${[...dialects].join(", ")} (hopwise matrix -v says what it decides)\n`,
  );
  if (options.junit !== undefined)
    writeFileSync(options.junit, `${testJunit(runs, report).join("\n")}\n`);
  return runs.some(({ results }) => results.some((result) => isFailure(result, report))) ? 1 : 0;
}

/** The world of the command line, else the one that the file names, relative to itself. */
function clusterFor({ file, worlds }: TestFile, options: TestCommandOptions): Cluster {
  const own = worlds.map((path) =>
    path.startsWith("demo:") || isAbsolute(path) ? path : join(dirname(file), path),
  );
  return clusterOf(options.world ?? (own.length === 0 ? undefined : own));
}

function linesOf(
  runs: readonly TestRun[],
  format: TestCommandOptions["output"],
  report: { readonly allowUnknown: boolean },
): readonly string[] {
  switch (format) {
    case "text":
      return runs.flatMap((run) => testText(run, report));
    case "junit":
      return testJunit(runs, report);
    case "tap":
      return testTap(runs, report);
    case "github":
      return runs.flatMap((run) => testGithub(run, report));
    default:
      return unreachable(format);
  }
}
