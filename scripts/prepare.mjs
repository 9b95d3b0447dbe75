// Builds after an install, but only where the developer's tools are present: `npm ci --omit=dev` must not fail.
import { existsSync } from "node:fs";

if (existsSync("node_modules/vitest")) await import("./build.mjs");
