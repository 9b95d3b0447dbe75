// Writes the documents that are made from registries, from the built program: `npm run build && node scripts/generate-docs.mjs`.
// With --check it only tells which are stale.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { referencePages } from "../dist/cli/reference-pages.js";

const check = process.argv.includes("--check");
for (const page of referencePages) {
  const { path } = page;
  const text = page.render();
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  process.stdout.write(
    `${path} ${check ? "is stale; run node scripts/generate-docs.mjs" : "written"}\n`,
  );
  if (check) process.exitCode = 1;
  else writeFileSync(path, text);
}
