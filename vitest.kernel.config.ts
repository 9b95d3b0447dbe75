import type { ViteUserConfig } from "vitest/config";

/** The comparison with the real kernel: one file after the other, because they share the machine's clocks and names. */
const config: ViteUserConfig = {
  test: {
    include: ["test/kernel/**/*.test.ts"],
    pool: "threads",
    isolate: false,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Labs that say so run at once: they wait for timers of the kernel most of the time.
    maxConcurrency: 8,
  },
};

export default config;
