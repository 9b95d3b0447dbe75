import { counted } from "../../base/counted.js";
import { safeText } from "../../base/safe-text.js";
import type { TestResult, TestRun } from "./run-tests.js";

export interface ReportOptions {
  /** Counts tests without a certain answer as no failure. */
  readonly allowUnknown?: boolean;
  /** How long each test took, in milliseconds, in their order: this floor has no clock. */
  readonly times?: readonly number[];
}

export function isFailure(
  { status }: TestResult,
  { allowUnknown = false }: ReportOptions,
): boolean {
  return status === "failed" || (status === "unknown" && !allowUnknown);
}

/** `expected delivered, got DENIED`. */
function difference({ test, observed }: TestResult): string {
  return `expected ${test.expect.toLowerCase()}, got ${observed.outcome}`;
}

function where({ observed }: TestResult): string {
  return observed.at === undefined ? "" : ` at ${observed.at}`;
}

/** For a terminal. spec/ux.md S9. */
export function testText(
  { file, results, passed, failed, unknown }: TestRun,
  options: ReportOptions = {},
): readonly string[] {
  const places = Math.max(0, ...results.map(({ test }) => `${file}:${test.place.line}`.length)) + 3;
  const names = Math.max(25, ...results.map(({ test }) => safeText(test.name).length)) + 2;
  const lines = results.flatMap((result) => {
    const { test, observed } = result;
    const bad = isFailure(result, options);
    const head = `${(bad ? "FAIL" : "ok").padEnd(6)}${safeText(`${file}:${test.place.line}`).padEnd(places)}${safeText(test.name).padEnd(names)}`;
    if (!bad) return [`${head}${safeText(observed.by ?? "")}`.trimEnd()];
    return [
      `${head}${difference(result)}${safeText(where(result))}`,
      ...observed.reasons.map((reason) => `      ${safeText(reason)}`),
    ];
  });
  const sum = `${counted(results.length, "test")}: ${passed} passed, ${failed} failed, ${unknown} unknown`;
  return [...lines, sum];
}

const XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>';

/** JUnit XML of one file, or of several as one document. */
export function testJunit(
  runs: TestRun | readonly TestRun[],
  options: ReportOptions = {},
): readonly string[] {
  const list = "results" in runs ? [runs] : runs;
  const suites = list.map((run) => junitSuite(run, options));
  return suites.length === 1
    ? [XML_HEAD, ...suites.flat()]
    : [XML_HEAD, "<testsuites>", ...suites.flat(), "</testsuites>"];
}

/** A suite. Names are unique, as GitLab drops repeated ones; the reason is in the body, as it ignores `message`. */
function junitSuite(run: TestRun, options: ReportOptions): readonly string[] {
  const { file, results } = run;
  const failures = results.filter((result) => isFailure(result, options)).length;
  const seconds = (at: number): string => ((options.times?.[at] ?? 0) / 1_000).toFixed(3);
  const total = (
    results.reduce((sum, _, at) => sum + (options.times?.[at] ?? 0), 0) / 1_000
  ).toFixed(3);
  const names = uniqueNames(results.map(({ test }) => test.name));
  const cases = results.flatMap((result, at) => {
    const head = `  <testcase classname=${attribute(file)} name=${attribute(names[at] ?? "")} file=${attribute(file)} time="${seconds(at)}"`;
    if (!isFailure(result, options)) return [`${head}/>`];
    const body = result.observed.reasons.map(xml).join("\n");
    const failure = `    <failure type=${attribute(result.observed.outcome)} message=${attribute(difference(result))}>${body}</failure>`;
    return [`${head}>`, failure, "  </testcase>"];
  });
  return [
    `<testsuite name=${attribute(file)} tests="${results.length}" failures="${failures}" errors="0" skipped="0" time="${total}">`,
    ...cases,
    "</testsuite>",
  ];
}

function uniqueNames(names: readonly string[]): readonly string[] {
  const used = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let number = 2; used.has(unique); number++) unique = `${name} (${number})`;
    used.add(unique);
    return unique;
  });
}

function xml(text: string): string {
  return safeText(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function attribute(text: string): string {
  return `"${xml(text).replaceAll('"', "&quot;")}"`;
}

/** Test Anything Protocol, version 13; several files count on. */
export function testTap(
  runs: TestRun | readonly TestRun[],
  options: ReportOptions = {},
): readonly string[] {
  const list = "results" in runs ? [runs] : runs;
  const all = list.flatMap(({ file, results }) => results.map((result) => ({ file, result })));
  const lines = all.flatMap(({ file, result }, at) => {
    const bad = isFailure(result, options);
    // A hash would begin a directive.
    const name = safeText(result.test.name).replaceAll("#", "\\#");
    const head = `${bad ? "not ok" : "ok"} ${at + 1} - ${name}`;
    if (!bad) return [head];
    const { observed, test } = result;
    return [
      head,
      "  ---",
      `  message: ${JSON.stringify(`${difference(result)}${where(result)}`)}`,
      `  at: ${JSON.stringify(`${file}:${test.place.line}`)}`,
      "  reasons:",
      ...observed.reasons.map((reason) => `    - ${JSON.stringify(safeText(reason))}`),
      "  ...",
    ];
  });
  return ["TAP version 13", `1..${all.length}`, ...lines];
}

/** Workflow commands that GitHub shows beside the test file. */
export function testGithub(run: TestRun, options: ReportOptions = {}): readonly string[] {
  return run.results
    .filter((result) => isFailure(result, options))
    .map((result) => {
      const { test, observed } = result;
      const message = [`${difference(result)}${where(result)}`, ...observed.reasons].join("\n");
      return `::error file=${property(run.file)},line=${test.place.line},title=${property(test.name)}::${data(message)}`;
    });
}

function data(text: string): string {
  return text
    .split("\n")
    .map(safeText)
    .join("\n")
    .replaceAll("%", "%25")
    .replaceAll("\r", "%0D")
    .replaceAll("\n", "%0A");
}

function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
