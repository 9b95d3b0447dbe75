import { defineConfig } from "vitest/config";

/** The comparison with the real kernel: one file after the other, because they share the machine's clocks and names. */
export default defineConfig({
  test: {
    include: ["test/kernel/**/*.test.ts"],
    pool: "threads",
    isolate: false,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
