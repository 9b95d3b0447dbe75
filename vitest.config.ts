import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    // Namespaces of the real kernel: vitest.kernel.config.ts.
    exclude: [...configDefaults.exclude, "test/kernel/**"],
    pool: "threads",
    isolate: false,
    testTimeout: 30_000,
    coverage: { include: ["src/**"], reporter: ["text-summary", "html"] },
  },
});
