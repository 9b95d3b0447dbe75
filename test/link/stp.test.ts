import { describe, expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { build, run } from "../tools/tool-fixtures.js";
import { testFrame } from "./link-fixtures.js";

const ALL = "ff:ff:ff:ff:ff:ff";

/** Three bridges in a loop, in one namespace: b1 (p12, p13), b2 (p21, p23), b3 (p31, p32), as the kernel was shown. */
function triangle(options = "stp_state 1 forward_delay 400 hello_time 100"): Simulation {
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("n");
  const lines = ["b1", "b2", "b3"].map(
    (name, index) =>
      `n: ip link add ${name} address 02:00:00:00:00:0${index + 1} type bridge ${options}`,
  );
  for (const [a, b] of ["12", "13", "23"].map((pair) => [...pair])) {
    lines.push(
      `n: ip link add p${a}${b} address 02:00:00:00:01:${a}${b} type veth peer name p${b}${a} address 02:00:00:00:01:${b}${a}`,
      `n: ip link set p${a}${b} master b${a}`,
      `n: ip link set p${b}${a} master b${b}`,
      `n: ip link set p${a}${b} up`,
      `n: ip link set p${b}${a} up`,
    );
  }
  build(sim, lines.join("\n"));
  return sim;
}

function up(sim: Simulation): void {
  build(sim, "n: ip link set b1 up\nn: ip link set b2 up\nn: ip link set b3 up");
}

function pass(sim: Simulation, time: number): void {
  sim.runUntilIdle(later(sim.queue.now, seconds(time)));
}

/** `p12 forwarding`, by name. */
function states(sim: Simulation): Readonly<Record<string, string>> {
  const lines = run(sim, "n", "bridge link").stdout.matchAll(/^\d+: (\w+)\S* .* state (\w+) /gm);
  return Object.fromEntries([...lines].map(([, name = "", state = ""]) => [name, state]));
}

function listening(state: string): Readonly<Record<string, string>> {
  return { p12: state, p13: state, p21: state, p23: state, p31: state, p32: "blocking" };
}

function heard(sim: Simulation, dev: string, time: number): readonly string[] {
  const seen: string[] = [];
  sim.trace = (event: TraceEvent) => {
    if (event.kind === "device" && event.direction === "rx" && event.dev === dev)
      seen.push(formatFrame(event.frame));
  };
  pass(sim, time);
  sim.trace = undefined;
  return seen;
}

// States, times and messages as Linux 6.18 had them on the same three bridges; lab stp-triangle.
describe("spanning tree in a loop of three bridges", () => {
  test("lets ports listen, learn and forward, and blocks one", () => {
    const sim = triangle();
    up(sim);
    pass(sim, 3.9);
    expect(states(sim)).toEqual(listening("listening"));
    pass(sim, 4);
    expect(states(sim)).toEqual(listening("learning"));
    pass(sim, 1);
    expect(states(sim)).toEqual(listening("forwarding"));
  });

  test("sends a message every hello time, topology changes towards the root, and the root's answer", () => {
    const sim = triangle();
    up(sim);
    expect(heard(sim, "p21", 3.5)).toEqual(
      Array.from(
        { length: 3 },
        () => "STP 802.1d, Config, Flags [none], bridge-id 8000.02:00:00:00:00:01.8001, length 35",
      ),
    );
    pass(sim, 4);
    expect(new Set(heard(sim, "p12", 2))).toEqual(new Set(["STP 802.1d, Topology Change"]));
    expect(heard(sim, "p12", 5)).toEqual([]);
    expect(heard(sim, "p21", 1).at(-1)).toMatch(/Config, Flags \[Topology change\],/);
  });

  test("drops what comes to a port that does not forward", () => {
    const sim = triangle();
    up(sim);
    pass(sim, 1);
    const drops: string[] = [];
    sim.trace = (event) => {
      if (event.kind === "dropped") drops.push(`${event.dev} ${event.reason} ${event.where}`);
    };
    const ns = sim.namespaces.get("n");
    const put = (dev: string): void => {
      if (ns !== undefined)
        devQueueXmit(newSkb(ns, testFrame("02:00:00:00:0a:01", ALL), "test"), ns.device(dev));
      pass(sim, 0.01);
    };
    put("p12");
    pass(sim, 4);
    put("p12");
    expect(drops).toEqual([
      "p21 BRIDGE_INGRESS_STP_STATE br_handle_frame",
      "p21 BRIDGE_INGRESS_STP_STATE br_handle_frame_finish",
    ]);
    pass(sim, 10);
    drops.length = 0;
    put("p23");
    expect(drops).toEqual(["p32 BRIDGE_INGRESS_STP_STATE br_handle_frame"]);
  });

  test("lets the blocked port take over when the way to the root is lost", () => {
    const sim = triangle();
    up(sim);
    pass(sim, 15);
    build(sim, "n: ip link set p13 down");
    pass(sim, 0.5);
    expect(states(sim)).toMatchObject({ p31: "disabled", p13: "disabled", p32: "listening" });
    pass(sim, 8);
    expect(states(sim)).toMatchObject({ p32: "forwarding", p23: "forwarding" });
    expect(run(sim, "n", "ip -d link show b3").stdout).toContain(
      "designated_root 8000.2:0:0:0:0:1 root_port 2 root_path_cost 4 ",
    );
  });

  test("takes another root when a bridge gets a better priority, and another way when a port costs more", () => {
    const sim = triangle();
    up(sim);
    pass(sim, 15);
    build(sim, "n: ip link set b3 type bridge priority 4096");
    pass(sim, 15);
    expect(run(sim, "n", "ip -d link show b1").stdout).toContain(
      "designated_root 1000.2:0:0:0:0:3 root_port 2 root_path_cost 2 ",
    );
    // Nobody listens to worse news: the old ones have to grow old first.
    build(sim, "n: bridge link set dev p13 cost 100");
    pass(sim, 15);
    expect(run(sim, "n", "ip -d link show b1").stdout).toContain("root_port 2 root_path_cost 100 ");
    pass(sim, 10);
    expect(run(sim, "n", "ip -d link show b1").stdout).toContain("root_port 1 root_path_cost 4 ");
  });

  test("hears nothing for the maximum age and then is the root itself", () => {
    const sim = triangle("stp_state 1 forward_delay 200 hello_time 100 max_age 600");
    up(sim);
    pass(sim, 10);
    // b1 goes on, but says nothing any more.
    build(sim, "n: ip link set b1 type bridge stp_state 0");
    pass(sim, 8);
    expect(run(sim, "n", "ip -d link show b2").stdout).toContain(
      "designated_root 8000.2:0:0:0:0:2 root_port 0 root_path_cost 0 ",
    );
  });

  test("switched on leaves ports that forward as they are", () => {
    const sim = createLinux({ seed: 1 });
    sim.createNamespace("n");
    build(
      sim,
      `n: ip link add b1 type bridge
       n: ip link add p type veth peer name q
       n: ip link set p master b1
       n: ip link set b1 up
       n: ip link set p up
       n: ip link set q up
       n: ip link set b1 type bridge stp_state 1`,
    );
    expect(states(sim)).toEqual({ p: "forwarding" });
    pass(sim, 40);
    expect(states(sim)).toEqual({ p: "forwarding" });
  });

  test("forgets addresses sooner while the topology changes", () => {
    const sim = triangle();
    up(sim);
    pass(sim, 9);
    expect(run(sim, "n", "ip -d link show b1").stdout).toContain(" ageing_time 800 stp_state 1 ");
    pass(sim, 40);
    expect(run(sim, "n", "ip -d link show b1").stdout).toContain(" ageing_time 30000 stp_state 1 ");
  });

  test.each([
    [
      "ip link set b1 type bridge hello_time 50",
      "2 RTNETLINK answers: Numerical result out of range",
    ],
    [
      "ip link set b1 type bridge max_age 5000",
      "2 RTNETLINK answers: Numerical result out of range",
    ],
    [
      "ip link set b1 type bridge forward_delay 100",
      "2 RTNETLINK answers: Numerical result out of range",
    ],
    [
      "ip link set b1 type bridge priority 70000",
      '255 Error: argument "70000" is wrong: invalid priority',
    ],
    [
      "ip link set b1 type bridge stp_state x",
      '255 Error: argument "x" is wrong: invalid stp_state',
    ],
    ["ip link set b1 type bridge frob 1", '1 bridge: unknown command "frob"?'],
    ["ip link set b1 type bridge group_fwd_mask 0x4", "2 RTNETLINK answers: Invalid argument"],
    [
      "ip link set p12 type bridge_slave priority 70",
      "2 RTNETLINK answers: Numerical result out of range",
    ],
    [
      "ip link set p12 type bridge_slave cost 0",
      "2 RTNETLINK answers: Numerical result out of range",
    ],
    ["ip link set p12 type bridge_slave state 3", "2 RTNETLINK answers: Device or resource busy"],
    ["bridge link set dev p12 state 3", "255 RTNETLINK answers: Device or resource busy"],
    ["bridge link set dev p12 cost 70000", "255 RTNETLINK answers: Numerical result out of range"],
  ])("answers %s with %s", (line, answer) => {
    const sim = triangle();
    up(sim);
    const { code, stderr } = run(sim, "n", line);
    expect(`${code} ${stderr.split("\n")[0]}`).toBe(answer);
  });
});
