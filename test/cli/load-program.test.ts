import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

/** A program of two files, laid out as the build does, whose second file says `word`. */
function writeProgram(word: string): void {
  const folder = join(home, "dist/program");
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "main-1.cjs"),
    'const { word } = require("./word-1.cjs"); exports.say = () => process.stdout.write(word());',
  );
  writeFileSync(join(folder, "word-1.cjs"), `exports.word = () => "${word}";`);
  const files = ["main-1.cjs", "word-1.cjs"];
  const list = { main: "main-1.cjs", files, modules: {}, packages: {}, commands: [] };
  writeFileSync(join(folder, "program.json"), JSON.stringify(list));
}

function run(cache: string): string {
  const code = `require(${JSON.stringify(join(home, "bin/load-program.js"))}).load().say()`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", code], {
    encoding: "utf8",
    env: { ...process.env, HOPWISE_CACHE: cache, NODE_DISABLE_COMPILE_CACHE: "" },
  });
  return stdout + stderr;
}

let home = "";
let cache = "";
/** Where this version of Node keeps it for what is no command. */
let kept = "";

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "hopwise-load-"));
  cpSync("bin", join(home, "bin"), { recursive: true });
  cache = join(home, "cache");
  kept = join(cache, `code-${process.version}-${process.arch}`, "other");
  writeProgram("one");
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

test("bytecode that a run kept is what the next one runs", () => {
  expect(run(cache)).toBe("one");
  expect(readdirSync(kept).toSorted()).toEqual(["main-1.cjs", "word-1.cjs"]);
  // V8 looks at no more of the source than its length; the build names files by their contents.
  writeProgram("two");
  expect(run(cache)).toBe("one");
  rmSync(kept, { recursive: true });
  expect(run(cache)).toBe("two");
});

test("bytecode that is no such thing is made again", () => {
  mkdirSync(kept, { recursive: true, mode: 0o700 });
  writeFileSync(join(kept, "word-1.cjs"), "nonsense");
  writeFileSync(join(kept, "word-of-another-build.cjs"), "");
  expect(run(cache)).toBe("one");
  expect(readdirSync(kept).toSorted()).toEqual(["main-1.cjs", "word-1.cjs"]);
});

test.skipIf(process.platform === "win32")(
  "nothing is kept when the user says off, nor read where others may write",
  () => {
    expect(run("off")).toBe("one");
    expect(existsSync("off")).toBe(false);
    mkdirSync(kept, { recursive: true });
    chmodSync(kept, 0o777);
    expect(run(cache)).toBe("one");
    expect(readdirSync(kept)).toEqual([]);
  },
);
