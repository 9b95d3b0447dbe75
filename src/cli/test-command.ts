import { writeFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { unreachable } from "../base/errors.js";
import { policyProbe, runTests, type TestRun } from "../kube/policy/run-tests.js";
import { parseTestFile, type TestFile } from "../kube/policy/test-file.js";
import type { Targets } from "../kube/policy/targets.js";
import { isFailure, testGithub, testJunit, testTap, testText } from "../kube/policy/test-report.js";
import type { TestCommandOptions } from "./commands/test.js";
import { readOne } from "./files.js";
import type { Streams } from "./streams.js";
import { policyTargets } from "./why-command.js";

/** `hopwise test FILE…`: tries what each file expects. Exit 0 when all hold, 1 when one fails. */
export function testCommand(
  files: readonly string[],
  options: TestCommandOptions,
  streams: Streams,
): number {
  const tests = files.map((file) => parseTestFile(readOne(file)));
  const report = { allowUnknown: options.allowUnknown ?? false };
  const runs = tests.map((file) => runTests(file, policyProbe(targetsFor(file, options))));
  for (const run of runs) streams.out(`${linesOf(run, options.output, report).join("\n")}\n`);
  if (options.junit !== undefined) {
    writeFileSync(
      options.junit,
      runs.map((run) => `${testJunit(run, report).join("\n")}\n`).join(""),
    );
  }
  return runs.some(({ results }) => results.some((result) => isFailure(result, report))) ? 1 : 0;
}

/** The world of the command line, else the one that the file names, relative to itself. */
function targetsFor({ file, worlds, dialect }: TestFile, options: TestCommandOptions): Targets {
  const own = worlds.map((path) =>
    path.startsWith("demo:") || isAbsolute(path) ? path : join(dirname(file), path),
  );
  return policyTargets(
    options.world ?? (own.length === 0 ? undefined : own),
    options.dialect ?? dialect ?? "default",
  );
}

function linesOf(
  run: TestRun,
  format: TestCommandOptions["output"],
  report: { readonly allowUnknown: boolean },
): readonly string[] {
  switch (format) {
    case "text":
      return testText(run, report);
    case "junit":
      return testJunit(run, report);
    case "tap":
      return testTap(run, report);
    case "github":
      return testGithub(run, report);
    default:
      return unreachable(format);
  }
}
