// Builds dist: tsc writes the library module by module, rolldown puts the program's modules into few files, because
// reading five hundred of them takes longer than all the work of a trace. With --watch it goes on doing so.
import { spawn, spawnSync } from "node:child_process";
import { rmSync, utimesSync } from "node:fs";
import { rolldown, watch } from "rolldown";

const tsc = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"];
const program = {
  input: "dist/cli/main.js",
  // Packages stay packages: npm installs them, with their licences.
  external: /^[^./]/,
  platform: "node",
};
const output = { dir: "dist/program", format: "esm", chunkFileNames: "[name]-[hash].js" };

if (process.argv.includes("--watch")) {
  const compiler = spawn(process.execPath, [...tsc, "--watch"], { stdio: "inherit" });
  watch({ ...program, output });
  compiler.on("exit", (code) => process.exit(code ?? 1));
} else {
  const { status } = spawnSync(process.execPath, tsc, { stdio: "inherit" });
  if (status === 0) await bundle();
  else process.exitCode = status ?? 1;
}

async function bundle() {
  // An incremental build that found nothing new leaves its file as it was; bin/hopwise.js and ensure.mjs look at it.
  utimesSync("dist/.tsbuildinfo", new Date(), new Date());
  rmSync(output.dir, { recursive: true, force: true });
  const build = await rolldown(program);
  await build.write(output);
  await build.close();
}
