import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import { buildLab } from "../../src/lab/build.js";
import { parseLab } from "../../src/lab/lab-file.js";
import { later, seconds } from "../../src/sim/time.js";
import { runTool } from "../../src/tools/index.js";

const name = "v6-router-advertisement.yaml";
const lab = parseLab(
  name,
  readFileSync(new URL(`../../topologies/labs/${name}`, import.meta.url), "utf8"),
);

/** The lab's network after its router has advertised: lifetimes 1800, 86400 and 14400 seconds. */
function advertised(): Simulation {
  const sim = buildLab(lab, 1);
  sim.runUntilIdle(later(sim.queue.now, seconds(3)));
  const [probe] = lab.probes;
  const router = sim.namespaces.get("router");
  if (probe?.frame === undefined || router === undefined) throw new Error("the lab has changed");
  devQueueXmit(newSkb(router, probe.frame, "packet socket"), router.device("eth0"));
  sim.runUntilIdle(later(sim.queue.now, seconds(3)));
  return sim;
}

function told(sim: Simulation, command: string): string {
  return runTool(sim, { ns: "host", argv: command.split(" ") }).stdout;
}

describe("what a router advertised", () => {
  it("makes an address that is asked about first, and a way to everywhere", () => {
    const sim = advertised();
    expect(told(sim, "ip -6 addr show dev eth0")).toMatch(
      /inet6 2001:db8:1::ff:fe00:101\/64 scope global dynamic mngtmpaddr \n +valid_lft 8639[678]sec preferred_lft 1439[678]sec/,
    );
    expect(told(sim, "ip -6 route show default")).toMatch(
      /^default via fe80::ff:fe00:102 dev eth0 proto ra metric 1024 expires 179[678]sec mtu 1400 hoplimit 42 pref high\n$/,
    );
  });

  it("goes when its time is over: the router, the preference of the address, the address", () => {
    const sim = advertised();
    sim.runUntilIdle(later(sim.queue.now, seconds(1800)));
    expect(told(sim, "ip -6 route show default")).toBe("");
    sim.runUntilIdle(later(sim.queue.now, seconds(13_000)));
    expect(told(sim, "ip -6 addr show dev eth0")).toContain("deprecated dynamic mngtmpaddr");
    sim.runUntilIdle(later(sim.queue.now, seconds(80_000)));
    expect(told(sim, "ip -6 addr show dev eth0")).not.toContain("2001:db8:1:");
    expect(told(sim, "ip -6 route")).not.toContain("2001:db8:1:");
  });

  it("is forgotten by a host that begins to forward, the prefix aside", () => {
    const sim = advertised();
    told(sim, "sysctl -w net.ipv6.conf.all.forwarding=1");
    expect(told(sim, "ip -6 route show default")).toBe("");
    expect(told(sim, "ip -6 route")).toContain("2001:db8:1::/64");
  });
});
