// Builds after an install, but only where the developer's tools are present: `npm ci --omit=dev` must not fail.
import { existsSync } from "node:fs";
import { execFileSync } from "node:child_process";

if (existsSync("node_modules/vitest")) {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
    stdio: "inherit",
  });
}
