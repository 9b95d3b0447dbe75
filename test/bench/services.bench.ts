import { describe } from "vitest";
import { renderNodeIptables } from "../../src/kube/proxy/node-rules.js";
import { serviceObjects, serviceState } from "../../src/kube/proxy/service-state.js";
import { duration } from "./figures.js";
import { manyServices, proxyNodeA, serviceConfig } from "./many-services.js";

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
