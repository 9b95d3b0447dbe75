#!/usr/bin/env node
// The program: checks that it can run at all, then hands over to main(): of dist/program, which holds all modules in few
// files and starts faster, or of dist/cli when only tsc has run since.
const { statSync } = require("node:fs");
const { join } = require("node:path");

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const bundled = changedAt("../dist/program/program.json");
const compiled = changedAt("../dist/.tsbuildinfo");
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`hopwise: needs Node.js 20.19 or newer, this is ${process.versions.node}\n`);
  process.exitCode = 70;
} else if (bundled === 0 && compiled === 0) {
  process.stderr.write("hopwise: not built yet; run: npm run build\n");
  process.exitCode = 70;
} else if (process.argv.length === 3 && process.argv[2] === "--version") {
  // Nothing else need be read for that.
  process.stdout.write(`${require("../package.json").version}\n`);
} else {
  // React's development build keeps every frame it draws.
  process.env.NODE_ENV ??= "production";
  if (bundled > 0 && bundled >= compiled) require("./load-program.js").load().runProcess();
  else import("../dist/cli/main.js").then(({ runProcess }) => runProcess());
}

/** In milliseconds; 0 for what is not there. */
function changedAt(path) {
  return statSync(join(__dirname, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
