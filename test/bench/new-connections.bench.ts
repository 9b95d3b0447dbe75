import { afterAll, describe } from "vitest";
import { rate, rateOf } from "./figures.js";
import { ServiceNode } from "./many-services.js";
import { KernelServiceNode, type KernelVariant, whyNoKernel } from "./new-connections-kernel.js";

const sizes = [100, 1_000, 5_000, 10_000, 30_000] as const;
const only = process.env["HOPWISE_BENCH_SERVICES"]?.split(",").map(Number);
const connections = 2_000;
const count = { number: connections, what: "connections" };
const budget = 50_000;

const missing = whyNoKernel();
if (missing !== undefined)
  process.stdout.write(`the real kernel is not measured beside: ${missing}\n`);

/** The variants of the real kernel; one at a time exists, and each is built when its first run comes. */
const variants: readonly KernelVariant[] = missing === undefined ? ["legacy", "nft"] : [];

for (const services of sizes.filter((size) => only === undefined || only.includes(size))) {
  describe(`NEW connections through kube-proxy's iptables rules for ${services.toLocaleString("en-US")} Services`, () => {
    let node: ServiceNode | undefined;
    rate(
      "hopwise",
      count,
      () => {
        node ??= new ServiceNode(services);
        node.connect(connections);
      },
      { runs: 15, warmup: 5, budget, now: () => node?.now() ?? 0 },
    );
    for (const variant of variants) {
      let kernel: KernelServiceNode | undefined;
      rateOf(
        `this kernel, ${variant}`,
        count,
        async () => {
          node = undefined;
          kernel ??= new KernelServiceNode(
            variant,
            new ServiceNode(services).savedRules(),
            services,
          );
          await kernel.connect(connections);
        },
        {
          runs: 9,
          warmup: 2,
          now: () => kernel?.now() ?? 0,
          ended: () => {
            kernel?.close();
            kernel = undefined;
          },
        },
      );
      afterAll(() => kernel?.close());
    }
  });
}
