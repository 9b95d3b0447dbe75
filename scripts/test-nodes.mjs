// Runs the suite under several versions of Node: `node scripts/test-nodes.mjs 20 22 24 26`.
import { spawnSync } from "node:child_process";

const platform = process.platform === "win32" ? "win" : process.platform;
const failed = process.argv.slice(2).filter((version) => {
  process.stdout.write(`\nNode ${version}\n`);
  const node = `--package=node-${platform}-${process.arch}@${version}`;
  const suite = ["node", "node_modules/vitest/vitest.mjs", "run"];
  const args = ["exec", "--yes", node, "--", ...suite];
  return (
    spawnSync("npm", args, { stdio: "inherit", shell: process.platform === "win32" }).status !== 0
  );
});
process.stdout.write(
  failed.length === 0 ? "\nall passed\n" : `\nfailed: Node ${failed.join(", ")}\n`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
