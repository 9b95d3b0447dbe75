import type { ViteUserConfig } from "vitest/config";

/** The screen as a user sees it, through tmux: one terminal at a time, because times are checked. */
const config: ViteUserConfig = {
  test: {
    include: ["test/tui/tmux/**/*.test.ts"],
    pool: "threads",
    isolate: false,
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
};

export default config;
