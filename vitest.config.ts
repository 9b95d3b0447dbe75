import { configDefaults, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = {
  // The examples of docs/library.md import the package by its name, as its users do.
  resolve: { alias: { hopwise: new URL("src/index.ts", import.meta.url).pathname } },
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    // Namespaces of the real kernel: vitest.kernel.config.ts.
    exclude: [...configDefaults.exclude, "test/kernel/**"],
    pool: "threads",
    isolate: false,
    testTimeout: 30_000,
    coverage: { include: ["src/**"], reporter: ["text-summary", "html"] },
  },
};

export default config;
