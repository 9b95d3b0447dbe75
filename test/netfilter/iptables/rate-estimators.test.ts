import { expect, it } from "vitest";
import { estimatorShape, RateEstimator } from "../../../src/netfilter/iptables/rate-estimators.js";
import type { Micros } from "../../../src/sim/time.js";

const at = (milliseconds: number): Micros => (milliseconds * 1000) as Micros;

it("the times of a rule become a power of two of quarter seconds and a weight, as the tool makes them", () => {
  expect(estimatorShape(250_000, 500_000)).toEqual({ intervalLog: 0, ewmaLog: 1 });
  expect(estimatorShape(1_000_000, 2_000_000)).toEqual({ intervalLog: 2, ewmaLog: 1 });
  expect(estimatorShape(250_000, 4_000_000)).toEqual({ intervalLog: 0, ewmaLog: 4 });
});

it("a rate moves by half of the difference at each look, and shows nothing before the first", () => {
  const estimator = new RateEstimator({ intervalLog: 0, ewmaLog: 1 }, at(0));
  for (let packet = 0; packet < 10; packet++) estimator.count(100, at(packet));
  expect(estimator.read(at(249))).toEqual({ bytes: 0, packets: 0 });
  // 1,000 bytes in a quarter of a second are 4,000 in one, and half of that is taken over.
  expect(estimator.read(at(250))).toEqual({ bytes: 2_000, packets: 20 });
  expect(estimator.read(at(500))).toEqual({ bytes: 1_000, packets: 10 });
  expect(estimator.read(at(750))).toEqual({ bytes: 500, packets: 5 });
});

it("a very long silence takes no time to look at", () => {
  const estimator = new RateEstimator({ intervalLog: 0, ewmaLog: 4 }, at(0));
  estimator.count(1_500, at(1));
  expect(estimator.read((Number.MAX_SAFE_INTEGER / 4) as Micros)).toEqual({ bytes: 0, packets: 0 });
});
