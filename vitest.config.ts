import { configDefaults, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = {
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
