// Builds dist: tsc writes the library module by module, rolldown puts the program's modules into few files (dist/program),
// because reading five hundred of them takes longer than all the work of a trace. With --watch it goes on doing so.
//
// The program is CommonJS, which V8 can load with the bytecode it kept (bin/load-program.js) on every version of Node.
// Ink can only be imported; what needs it stays a module, and reaches the rest through files that pass exports on.
import { spawn, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { mkdirSync, rmSync, watch, writeFileSync } from "node:fs";
import { rolldown } from "rolldown";

const tsc = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"];
const folder = "dist/program";
const modulesOnly = ["ink"];
const commonJs = ["commander", "js-yaml", "valibot"];
const { resolve } = createRequire(import.meta.url);
const output = {
  comments: false,
  minifyInternalExports: false,
  codeSplitting: {
    // Functions of one file call each other directly; those of two ask a property each time.
    groups: [
      { name: "base", test: /dist.base.(counted|errors|fold|nearest|safe-text)\.js$/, priority: 1 },
      { name: "engine", test: /dist.(wire|sim|core|link|inet|netfilter|tools).*\.js$/ },
    ],
  },
};

if (process.argv.includes("--watch")) {
  let waiting;
  watch("dist", (_, file) => {
    if (file !== ".tsbuildinfo") return;
    clearTimeout(waiting);
    waiting = setTimeout(bundle, 200);
  });
  const compiler = spawn(process.execPath, [...tsc, "--watch"], { stdio: "inherit" });
  compiler.on("exit", (code) => process.exit(code ?? 1));
} else {
  const { status } = spawnSync(process.execPath, tsc, { stdio: "inherit" });
  if (status === 0) await bundle();
  else process.exitCode = status ?? 1;
}

async function bundle() {
  rmSync(folder, { recursive: true, force: true });
  const build = await rolldown({
    input: "dist/cli/main.js",
    // Packages stay packages: npm installs them, with their licences.
    external: /^[^./]/,
    platform: "node",
  });
  const name = "[name]-[hash].cjs";
  const scripts = { ...output, format: "cjs", chunkFileNames: name, entryFileNames: name };
  const { output: chunks } = await build.generate(scripts);
  const { output: modules } = await build.generate({ ...output, format: "esm" });
  await build.close();
  mkdirSync(folder);
  for (const { fileName, code } of chunks) writeFileSync(`${folder}/${fileName}`, ascii(code));
  const asModules = writeModules(chunks, modules);
  for (const fileName of Object.keys(asModules)) rmSync(`${folder}/${fileName}`);
  // Written last: it says that the build is whole, and when it was.
  const main = chunks.find(({ isEntry }) => isEntry).fileName;
  const files = chunks.map(({ fileName }) => fileName);
  const commands = chunks.flatMap(({ name }) => /^(.+)-command$/.exec(name)?.[1] ?? []);
  const list = { main, files, modules: asModules, packages: packages(), commands };
  writeFileSync(`${folder}/program.json`, JSON.stringify(list));
}

/** Writes what must be a module, and for what it imports a file that passes on the exports of the script. */
function writeModules(chunks, modules) {
  const written = modules.filter(({ imports }) => modulesOnly.some((one) => imports.includes(one)));
  const twin = (module) => chunks.find((chunk) => holds(chunk) === holds(module)).fileName;
  for (const module of written) writeFileSync(`${folder}/${module.fileName}`, module.code);
  const needed = new Set(written.flatMap(({ imports }) => imports));
  for (const module of modules) {
    if (!needed.has(module.fileName) || written.includes(module)) continue;
    const lines = [
      'import { createRequire } from "node:module";',
      'const { chunk } = createRequire(import.meta.url)("../../bin/load-program.js");',
      `export const { ${module.exports.join(", ")} } = chunk("${twin(module)}");`,
    ];
    writeFileSync(`${folder}/${module.fileName}`, `${lines.join("\n")}\n`);
  }
  return Object.fromEntries(written.map((module) => [twin(module), module.fileName]));
}

/** The packages that are loaded as scripts, and which of its files each is. */
function packages() {
  return Object.fromEntries(
    commonJs.map((id) => [id, resolve(id).replaceAll("\\", "/").split(`/node_modules/${id}/`)[1]]),
  );
}

/** What a file holds, without what rolldown adds of its own. */
function holds({ moduleIds }) {
  return moduleIds.filter((id) => !id.includes("rolldown")).join();
}

/** What is left beside ASCII stands in strings and patterns; without it a text takes one byte a character. */
function ascii(code) {
  return code.replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
