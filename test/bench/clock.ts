/**
 * Milliseconds. HOPWISE_BENCH_CLOCK=cpu counts what this process uses, its garbage collector's threads included: figures of a machine
 * that is busy with other things as well.
 */
export const now: () => number =
  process.env["HOPWISE_BENCH_CLOCK"] === "cpu"
    ? () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1000;
      }
    : () => performance.now();
