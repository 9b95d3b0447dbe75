import { spawnSync } from "node:child_process";
import { describe } from "vitest";
import { duration } from "./figures.js";

spawnSync(process.execPath, ["scripts/ensure.mjs", "build"], { stdio: "inherit" });

function node(...args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

const runs = { runs: 11, warmup: 2 };

describe("start-up, as a program of its own", () => {
  duration("node -e 0, for comparison", () => node("-e", "0"), runs);
  duration("hopwise --version", () => node("bin/hopwise.js", "--version"), {
    ...runs,
    budget: 120,
  });
  const trace = ["trace", "shop/web-0", "http://api.shop", "-w", "demo:shop"];
  duration("hopwise trace on demo:shop", () => node("bin/hopwise.js", ...trace), {
    ...runs,
    budget: 500,
  });
});
