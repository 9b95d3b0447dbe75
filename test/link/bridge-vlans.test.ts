import { describe, expect, it } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { PingSocket } from "../../src/inet/ping.js";
import { buildLab, runLabCommand } from "../../src/lab/build.js";
import { parseLab } from "../../src/lab/lab-file.js";
import { later, seconds } from "../../src/sim/time.js";
import { runTool } from "../../src/tools/index.js";
import { parseIpv4 } from "../../src/wire/ip.js";

/*
 *   a 10.0.0.1 ── p1 (pvid 10) ┐            ┌ p4 (tagged 10, 20) ── t: t0.10 10.0.0.4, t0.20 10.0.20.4
 *   b 10.0.0.2 ── p2 (pvid 10) ┤ sw: br0  ──┤
 *   c 10.0.0.3 ── p3 (pvid 20) ┘            └ br0.10 10.0.0.9 on the switch's own host
 */
const lab = parseLab(
  "vlans.yaml",
  `
lab: vlans
namespaces: [sw, a, b, c, t]
links:
  - ["sw:p1", "a:eth0"]
  - ["sw:p2", "b:eth0"]
  - ["sw:p3", "c:eth0"]
  - ["sw:p4", "t:t0"]
commands:
  - sw: ip link add br0 type bridge vlan_filtering 1
  - sw: ip link set br0 up
  - sw: ip link set p1 master br0
  - sw: ip link set p2 master br0
  - sw: ip link set p3 master br0
  - sw: ip link set p4 master br0
  - sw: bridge vlan add vid 10 dev p1 pvid untagged
  - sw: bridge vlan add vid 10 dev p2 pvid untagged
  - sw: bridge vlan add vid 20 dev p3 pvid untagged
  - sw: bridge vlan del vid 1 dev p4
  - sw: bridge vlan add vid 10 dev p4
  - sw: bridge vlan add vid 20 dev p4
  - sw: ip link add link br0 name br0.10 type vlan id 10
  - sw: ip link set br0.10 up
  - sw: ip addr add 10.0.0.9/24 dev br0.10
  - a: ip addr add 10.0.0.1/24 dev eth0
  - b: ip addr add 10.0.0.2/24 dev eth0
  - c: ip addr add 10.0.0.3/24 dev eth0
  - c: ip addr add 10.0.20.3/24 dev eth0
  - t: ip link add link t0 name t0.10 type vlan id 10
  - t: ip link set t0.10 up
  - t: ip addr add 10.0.0.4/24 dev t0.10
  - t: ip link add link t0 name t0.20 type vlan id 20
  - t: ip link set t0.20 up
  - t: ip addr add 10.0.20.4/24 dev t0.20
`,
);

const sw = (sim: Simulation, command: string): string =>
  runTool(sim, { ns: "sw", argv: command.split(" ") }).stdout;

/** Whether an echo request is answered, and what the bridge decided on the way. */
function ping(sim: Simulation, from: string, to: string): { answered: boolean; why: string[] } {
  const ns = sim.namespaces.get(from);
  const address = parseIpv4(to);
  if (ns === undefined || address === undefined) throw new Error(from);
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  let answered = false;
  const socket = new PingSocket(ns);
  socket.onReply = () => {
    answered = true;
  };
  socket.send(address, { id: 1, sequence: 1, dontFragment: true, data: new Uint8Array(8) });
  sim.runUntilIdle(later(sim.queue.now, seconds(4)));
  socket.close();
  sim.trace = undefined;
  return {
    answered,
    why: events.flatMap((event) =>
      event.kind === "bridge" ? `${event.action}: ${event.why}` : [],
    ),
  };
}

describe("a bridge that filters VLANs", () => {
  it("lets members of a VLAN talk, and nobody else", () => {
    const sim = buildLab(lab, 1);
    expect(ping(sim, "a", "10.0.0.2").answered).toBe(true);
    const apart = ping(sim, "a", "10.0.0.3");
    expect(apart.answered).toBe(false);
  });

  it("sends tagged by a trunk and untagged by an access port", () => {
    const sim = buildLab(lab, 1);
    expect(ping(sim, "a", "10.0.0.4").answered).toBe(true);
    expect(ping(sim, "c", "10.0.20.4").answered).toBe(true);
  });

  it("refuses a tag that the port is not in, and frames without one where there is no PVID", () => {
    const sim = buildLab(lab, 1);
    sw(sim, "bridge vlan del vid 10 dev p4");
    expect(ping(sim, "t", "10.0.0.1")).toEqual({
      answered: false,
      why: [1, 2, 3].map(() => "refuse: p4 is not in VLAN 10"),
    });
    sw(sim, "bridge vlan del vid 10 dev p1");
    expect(ping(sim, "a", "10.0.0.2").why[0]).toBe("refuse: p1 has no PVID");
  });

  it("reaches its own host only where the bridge itself is in the VLAN", () => {
    const sim = buildLab(lab, 1);
    const outside = ping(sim, "a", "10.0.0.9");
    expect(outside.answered).toBe(false);
    expect(outside.why).toContain("refuse: broadcast, and br0 is not in VLAN 10");
    sw(sim, "bridge vlan add vid 10 dev br0 self");
    expect(ping(sim, "b", "10.0.0.9").answered).toBe(true);
    expect(ping(sim, "sw", "10.0.0.1").answered).toBe(true);
  });

  it("knows addresses by VLAN", () => {
    const sim = buildLab(lab, 1);
    const mac = "02:00:00:00:00:77";
    sw(sim, `bridge fdb add ${mac} dev p1 master static vlan 10`);
    sw(sim, `bridge fdb add ${mac} dev p3 master static vlan 20`);
    const lines = sw(sim, "bridge fdb show br br0").split("\n");
    expect(lines.filter((line) => line.startsWith(mac))).toEqual([
      `${mac} dev p1 vlan 10 master br0 static`,
      `${mac} dev p3 vlan 20 master br0 static`,
    ]);
    ping(sim, "a", "10.0.0.2");
    expect(sw(sim, "bridge fdb show dev p1")).toMatch(/vlan 10 master br0 $/m);
  });

  it("is a plain bridge again once it filters no more", () => {
    const sim = buildLab(lab, 1);
    sw(sim, "ip link set br0 type bridge vlan_filtering 0");
    expect(ping(sim, "a", "10.0.0.3").answered).toBe(true);
  });
});

describe("bridge vlan", () => {
  it("shows PVID and untagged, a line a VLAN", () => {
    const sim = buildLab(lab, 1);
    expect(sw(sim, "bridge vlan show")).toBe(
      [
        "port              vlan-id  ",
        "p1                1 Egress Untagged",
        "                  10 PVID Egress Untagged",
        "p2                1 Egress Untagged",
        "                  10 PVID Egress Untagged",
        "p3                1 Egress Untagged",
        "                  20 PVID Egress Untagged",
        "p4                10",
        "                  20",
        "br0               1 PVID Egress Untagged",
        "",
      ].join("\n"),
    );
  });

  it.each([
    ["bridge vlan add vid 0 dev p1", "RTNETLINK answers: Invalid argument\n"],
    ["bridge vlan add vid 10-12 dev p1 pvid", "RTNETLINK answers: Invalid argument\n"],
    ["bridge vlan add vid 5000 dev p1", 'Invalid VLAN ID "5000"\n'],
    ["bridge vlan add dev p1", "Device and VLAN ID are required arguments.\n"],
    ["bridge vlan add vid 10 dev br0", "RTNETLINK answers: Operation not supported\n"],
    ["bridge vlan add vid 10 dev nope", 'Cannot find bridge device "nope"\n'],
  ])("%s is refused", (command, stderr) => {
    const sim = buildLab(lab, 1);
    expect(runTool(sim, { ns: "sw", argv: command.split(" ") })).toEqual({
      code: 255,
      stdout: "",
      stderr,
    });
  });

  it("takes a range", () => {
    const sim = buildLab(lab, 1);
    runLabCommand(sim, { ns: "sw", argv: "bridge vlan add vid 100-102 dev p4".split(" ") });
    runLabCommand(sim, { ns: "sw", argv: "bridge vlan del vid 10-20 dev p4".split(" ") });
    expect(sw(sim, "bridge vlan show dev p4").split("\n").slice(1, 4)).toEqual([
      "p4                100",
      "                  101",
      "                  102",
    ]);
  });
});
