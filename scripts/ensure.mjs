// Before `npm start` and `npm test`: installs what package-lock.json asks for when it is not there, and with the word
// `build` builds when dist is older than the sources. Quiet when there is nothing to do; stdout stays the program's.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const BUILD_STAMP = "dist/program/program.json";

if (!installed()) {
  say("installing the packages of package-lock.json");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--ignore-scripts", "--no-audit", "--loglevel=error"];
  if (npm === undefined) run("npm", args);
  else run(process.execPath, [npm, ...args]);
}
if (
  process.argv.includes("build") &&
  newest(["src", "types", "tsconfig.json", "tsconfig.build.json", "scripts/build.mjs"]) > builtAt()
) {
  say("building");
  run(process.execPath, ["scripts/build.mjs"]);
}

/** Whether node_modules holds the versions of package-lock.json; packages for other platforms may be missing. */
function installed() {
  const here = "node_modules/.package-lock.json";
  if (!existsSync(here)) return false;
  const present = JSON.parse(readFileSync(here, "utf8")).packages;
  const wanted = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === "") return true;
    return path in present ? present[path].version === version : optional === true;
  });
}

function builtAt() {
  return existsSync(BUILD_STAMP) ? statSync(BUILD_STAMP).mtimeMs : 0;
}

/** When the newest of these files, or of the files in these folders, was changed; 0 for files that are not there. */
function newest(paths) {
  let latest = 0;
  for (const path of paths.filter((name) => existsSync(name))) {
    const stats = statSync(path);
    const inside = stats.isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [];
    latest = Math.max(latest, stats.mtimeMs, newest(inside));
  }
  return latest;
}

function say(what) {
  process.stderr.write(`hopwise: ${what}\n`);
}

/** Runs a program whose words matter only when it fails. */
function run(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status === 0) return;
  process.stderr.write(
    `${stdout ?? ""}${stderr ?? ""}${error === undefined ? "" : `${error.message}\n`}`,
  );
  process.exit(status ?? 1);
}
