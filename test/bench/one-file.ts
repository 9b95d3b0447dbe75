import { rolldown } from "rolldown";
import type { Plugin } from "vitest/config";

/**
 * Puts a benchmark and all of the program that it reaches into one file, as build.mjs does with what ships. Vitest would reach everything
 * imported through a getter, which costs more than the work that is measured.
 */
export function oneFile(): Plugin {
  return {
    name: "hopwise:one-file",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith(".bench.ts")) return undefined;
      const build = await rolldown({ input: id, external: /^[^./]/, platform: "node" });
      const { output } = await build.generate({ format: "esm", sourcemap: false });
      await build.close();
      return { code: output[0].code, map: null };
    },
  };
}
