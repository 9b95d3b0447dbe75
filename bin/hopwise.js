#!/usr/bin/env node
// The program: checks that it can run at all, then hands over to dist/cli/main.js.
import { existsSync } from "node:fs";
import module from "node:module";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`hopwise: needs Node.js 20.19 or newer, this is ${process.versions.node}\n`);
  process.exitCode = 70;
} else if (!existsSync(new URL("../dist/cli/main.js", import.meta.url))) {
  process.stderr.write("hopwise: not built yet; run: npm run build\n");
  process.exitCode = 70;
} else {
  // React's development build keeps every frame it draws.
  process.env.NODE_ENV ??= "production";
  module.enableCompileCache?.();
  const { runProcess } = await import("../dist/cli/main.js");
  await runProcess();
}
