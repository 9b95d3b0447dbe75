import { describe } from "vitest";
import { renderNodeIptables } from "../../src/kube/proxy/node-rules.js";
import { serviceObjects, serviceState } from "../../src/kube/proxy/service-state.js";
import { duration, rate } from "./figures.js";
import { manyServices, proxyNodeA, serviceConfig, ServiceNode } from "./many-services.js";

describe("NEW connections through kube-proxy's iptables rules", () => {
  for (const services of [100, 1_000, 10_000]) {
    // A walk through 10,000 Services takes a while; the other figures need warm code.
    const connections = services > 1_000 ? 1_000 : 5_000;
    const node = new ServiceNode(services);
    rate(
      `${services.toLocaleString("en-US")} Services`,
      { number: connections, what: "connections" },
      () => node.connect(connections),
      { runs: 5, warmup: 3, budget: 50_000 },
    );
  }
});

describe("one node's rules for 10,000 Services with 10 endpoints", () => {
  const objects = manyServices(10_000, 10);
  duration(
    "from objects to text",
    () =>
      void renderNodeIptables(
        serviceState(serviceObjects(objects, 4), proxyNodeA),
        proxyNodeA,
        serviceConfig,
      ),
    { runs: 3, budget: 3_000 },
  );
});
