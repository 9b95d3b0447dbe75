import { expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { build } from "../tools/tool-fixtures.js";
import { testFrame } from "./link-fixtures.js";

const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";

function pair(): Simulation {
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("n");
  build(
    sim,
    `n: ip link add e0 address ${A} type veth peer name e1 address ${B}
     n: ip link set e0 up
     n: ip link set e1 up`,
  );
  return sim;
}

/** Sends frames of so many bytes at once; tells when each left by `dev`, in milliseconds, and which were dropped where. */
function burst(sim: Simulation, lengths: readonly number[], dev: string): readonly string[] {
  const ns = sim.namespaces.get("n");
  if (ns === undefined) throw new Error("n");
  const seen: string[] = [];
  sim.trace = (event) => {
    if (event.kind === "device" && event.direction === "tx" && event.dev === dev)
      seen.push(`${Math.round(event.time / 1_000)} ms ${event.frame.payload.length + 14}`);
    if (event.kind === "dropped" && event.reason === "QDISC_DROP")
      seen.push(`${event.reason} ${event.where} ${event.frame.payload.length + 14}`);
  };
  for (const length of lengths)
    devQueueXmit(newSkb(ns, testFrame(A, B, length - 14), "test"), ns.device("e0"));
  sim.runUntilIdle(later(sim.queue.now, seconds(5)));
  return seen;
}

// Compared with Linux 6.18: lab token-bucket.
test("a token bucket lets a burst pass, then its rate, and drops what finds no room", () => {
  const sim = pair();
  build(sim, "n: tc qdisc add dev e0 root handle 1: tbf rate 80000bit burst 2000b limit 2000b");
  expect(burst(sim, [1000, 1000, 1000, 1000, 500, 2001], "e0")).toEqual([
    "0 ms 1000",
    "0 ms 1000",
    "QDISC_DROP bfifo_enqueue 500",
    "QDISC_DROP tbf_enqueue 2001",
    "100 ms 1000",
    "200 ms 1000",
  ]);
});

test("what comes in can be sent through an ifb device, and then goes on where it came in", () => {
  const sim = pair();
  build(
    sim,
    `n: ip link add ifb0 type ifb
     n: ip link set ifb0 up
     n: tc qdisc add dev ifb0 root handle 1: tbf rate 80000bit burst 1000b limit 3000b
     n: tc qdisc add dev e1 handle ffff: ingress
     n: tc filter add dev e1 parent ffff: protocol all prio 1 u32 match u32 0 0 flowid 1:1 action mirred egress redirect dev ifb0`,
  );
  const ends: string[] = [];
  const times = burst(sim, [1000, 1000], "ifb0");
  sim.trace = (event) => {
    if (event.kind === "dropped") ends.push(`${event.dev} ${event.reason}`);
  };
  burstAgain(sim, ends);
  expect(times).toEqual(["0 ms 1000", "100 ms 1000"]);
  expect(ends).toEqual(["e1 UNHANDLED_PROTO"]);
});

function burstAgain(sim: Simulation, ends: string[]): void {
  const ns = sim.namespaces.get("n");
  if (ns === undefined) throw new Error("n");
  ends.length = 0;
  devQueueXmit(newSkb(ns, testFrame(A, B, 100), "test"), ns.device("e0"));
  sim.runUntilIdle(later(sim.queue.now, seconds(1)));
}
