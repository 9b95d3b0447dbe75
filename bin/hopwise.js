#!/usr/bin/env node
// The program: checks that it can run at all, then hands over to main(): of dist/program, which holds all modules in few
// files and starts faster, or of dist/cli when only tsc has run since.
import { readFileSync, statSync } from "node:fs";
import module from "node:module";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const main = newest("../dist/program/main.js", "../dist/cli/main.js");
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`hopwise: needs Node.js 20.19 or newer, this is ${process.versions.node}\n`);
  process.exitCode = 70;
} else if (main === undefined) {
  process.stderr.write("hopwise: not built yet; run: npm run build\n");
  process.exitCode = 70;
} else if (process.argv.length === 3 && process.argv[2] === "--version") {
  // Nothing else need be read for that.
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  process.stdout.write(`${version}\n`);
} else {
  // React's development build keeps every frame it draws.
  process.env.NODE_ENV ??= "production";
  module.enableCompileCache?.();
  const { runProcess } = await import(main);
  await runProcess();
}

/** The bundle, unless tsc has built since; undefined when nothing is built. */
function newest(bundle, modules) {
  const [bundled, compiled] = [bundle, "../dist/.tsbuildinfo"].map(changedAt);
  if (bundled > 0 && bundled >= compiled) return bundle;
  return [bundle, modules].findLast((path) => changedAt(path) > 0);
}

/** In milliseconds; 0 for what is not there. */
function changedAt(path) {
  return statSync(new URL(path, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
