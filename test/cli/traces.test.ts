import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hopwise } from "./run.js";

const folder = new URL("../../traces/", import.meta.url);
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".txt"))
  .toSorted();

/**
 * Each file in traces/ begins with the command that made it (`$ hopwise …`) and holds what it printed on standard
 * output and standard error and its exit code. HOPWISE_RECORD=1 writes them anew; the commit then says why they changed.
 */
describe("recorded traces", () => {
  for (const file of files) {
    it(`${file} is what its command prints`, async () => {
      const path = new URL(file, folder);
      const text = readFileSync(path, "utf8");
      const command = /^\$ hopwise (.*)$/m.exec(text)?.[1] ?? "";
      const run = await hopwise(command);
      const now = `$ hopwise ${command}\n${run.out}${run.err === "" ? "" : `(stderr)\n${run.err}`}(exit ${run.exit})\n`;
      if (process.env["HOPWISE_RECORD"] === "1") writeFileSync(path, now);
      expect(now).toBe(expected(text, now));
    });

    it(`${file} is the same twice`, async () => {
      const command =
        /^\$ hopwise (.*)$/m.exec(readFileSync(new URL(file, folder), "utf8"))?.[1] ?? "";
      const first = await hopwise(command);
      expect(await hopwise(command)).toEqual(first);
    });
  }
});

function expected(text: string, now: string): string {
  return process.env["HOPWISE_RECORD"] === "1" ? now : text;
}
