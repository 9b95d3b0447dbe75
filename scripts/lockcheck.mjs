// Fails when package-lock.json names the place its packages came from, or lacks a package for another platform:
// npm drops those it could not fetch, and `npm ci` then fails there.
import { readFileSync } from "node:fs";

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
const mistakes = [];
for (const [path, entry] of Object.entries(packages)) {
  if (path !== "" && "resolved" in entry) mistakes.push(`${path} has a "resolved" line`);
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    if (!present(path, name)) mistakes.push(`${path || "the project"} lacks its optional ${name}`);
  }
}
if (mistakes.length > 0) {
  process.stderr.write(`package-lock.json: ${mistakes.join("\npackage-lock.json: ")}\n`);
  process.exitCode = 1;
}

/** Whether `name` is found from `path`, as Node looks: in its own node_modules, then in those above. */
function present(path, name) {
  for (let from = path; ; from = from.slice(0, Math.max(from.lastIndexOf("/node_modules/"), 0))) {
    if (`${from === "" ? "" : `${from}/`}node_modules/${name}` in packages) return true;
    if (from === "") return false;
  }
}
