import { configDefaults, type ViteUserConfig } from "vitest/config";
import { oneFile } from "./test/bench/one-file.js";
import { TableReporter } from "./test/bench/reporter.js";

const config: ViteUserConfig = {
  plugins: [oneFile()],
  // The examples of docs/library.md import the package by its name, as its users do.
  resolve: { alias: { hopwise: new URL("src/index.ts", import.meta.url).pathname } },
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    // Namespaces of the real kernel: vitest.kernel.config.ts. The screen in a terminal: vitest.tui.config.ts.
    exclude: [...configDefaults.exclude, "test/kernel/**", "test/tui/tmux/**"],
    pool: "threads",
    isolate: false,
    testTimeout: 30_000,
    benchmark: {
      include: ["test/bench/**/*.bench.ts"],
      reporters: [new TableReporter()],
    },
    coverage: { include: ["src/**"], reporter: ["text-summary", "html"] },
  },
};

export default config;
