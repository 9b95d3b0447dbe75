import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import type { Simulation } from "../../src/core/simulation.js";
import { runTool, tools } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { build, run } from "./tool-fixtures.js";

function lab(): Simulation {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add one
    ip netns add two
    ip link add e0 netns one type veth peer name e0 netns two
    one: ip link add br0 type bridge
    one: ip link set e0 master br0
    one: ip link set br0 up`,
  );
  return sim;
}

describe("runTool", () => {
  test("answers for a program that is not there as a shell does", () => {
    expect(run(lab(), "one", "banana -x")).toEqual({
      code: 127,
      stdout: "",
      stderr: "sh: 1: banana: not found\n",
    });
  });

  test("runs ip netns exec in that namespace, also within another", () => {
    const sim = lab();
    expect(run(sim, undefined, "ip netns exec one sysctl -n net.ipv4.ip_forward").stdout).toBe(
      "0\n",
    );
    expect(run(sim, "two", "ip netns exec one ip -br link show br0").stdout).toContain("br0");
    expect(run(sim, undefined, "ip netns exec none true")).toMatchObject({
      code: 255,
      stderr: 'Cannot open network namespace "none": No such file or directory\n',
    });
  });

  test("says which namespace was meant when there is none of that name", () => {
    expect(() => run(lab(), "ane", "ip link")).toThrow(
      expect.objectContaining({
        code: "TOOL_NO_NAMESPACE",
        message: "there is no namespace ane",
        details: expect.objectContaining({ help: "did you mean one?" }),
      }),
    );
  });

  test("refuses commands that need a namespace outside of one", () => {
    for (const line of [
      "ip link show",
      "ip addr",
      "ip route",
      "bridge fdb",
      "sysctl net.ipv4.ip_forward",
      "ip link add x type bridge",
    ]) {
      expect(() => run(lab(), undefined, line), line).toThrow(UserError);
    }
  });

  test.each([
    "ip -6 route add 2001:db8::/64 encap seg6",
    "ip -j addr",
    "ip link add v0 type ipvtap mode l2",
    "ip link set dev e0 multicast off",
    "ip link set dev e0 type bridge_slave guard on",
    "ip route get 10.0.0.1 connected",
    "ip tunnel",
    "bridge vni",
    "sysctl -p",
  ])("does not pretend to do %s", (line) => {
    expect(() => run(lab(), "one", line)).toThrow(/is not modelled/);
  });

  test("makes links at the outside with netns on both sides, as a real shell would", () => {
    const sim = lab();
    build(
      sim,
      "ip link add a0 netns one address 02:00:00:00:00:aa mtu 1400 type veth peer name b0 netns two address 02:00:00:00:00:bb mtu 1300",
    );
    expect(run(sim, "one", "ip -br link show a0").stdout).toContain("02:00:00:00:00:aa");
    expect(run(sim, "two", "ip link show b0").stdout).toContain("mtu 1300");
  });

  test("takes every device of a deleted namespace away, and the other ends of its cables", () => {
    const sim = lab();
    build(sim, "ip netns del one");
    expect(run(sim, "two", "ip -br link").stdout).toBe(
      "lo               DOWN           00:00:00:00:00:00 <LOOPBACK> \n",
    );
    expect(run(sim, undefined, "ip netns list").stdout).toBe("two\n");
  });

  test("gives devices without a given address the same one in every run", () => {
    const macs = () => run(lab(), "one", "ip -br link").stdout;
    expect(macs()).toBe(macs());
    expect(macs()).toMatch(/0a:00:00:00:00:0/);
  });
});

const WORDS = [
  ..."link addr route neigh rule netns add del set show replace append vxlan id remote local dstport nolearning dst port vni permanent change flush list get dev up down mtu address name master nomaster netns type veth peer bridge bridge_slave hairpin on off isolated state fdb static local dynamic self via table metric src scope proto nexthop weight onlink blackhole default lladdr nud permanent proxy from to fwmark pref lookup brd noprefixroute e0 br0 lo nope one two 10.0.0.1/24 10.0.0.1 10.0.0.2 0x10 -1 99999999999 banana 02:00:00:00:00:01 ff:ff:ff:ff:ff:ff tuntap mode tap tun ifb ipvlan l2 l3 private stp_state mcast_querier forward_delay priority cost mdb grp 239.1.1.1 qdisc filter tbf rate 80bit burst 10b limit parent ffff: handle root ingress -n -4 -o -br -d -w -q net.ipv4.ip_forward net.ipv4.ip_forward=1 net.ipv4.conf.e0.arp_ignore=8".split(
    " ",
  ),
  "",
  "=",
  "a/b",
];

// Half of the words make sense somewhere, so that the readers get far.
const word = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
);

test.each(
  tools
    .filter(({ name }) => ["ip", "bridge", "sysctl", "tc"].includes(name))
    .map(({ name }) => name),
)("%s takes any words: it ends with a result or a UserError", (name) => {
  fc.assert(
    fc.property(
      fc.array(fc.array(word, { maxLength: 10 }), { minLength: 1, maxLength: 6 }),
      (commands) => {
        const sim = lab();
        for (const words of commands) {
          try {
            const { code, stdout, stderr } = runTool(sim, {
              ns: sim.namespaces.has("one") ? "one" : undefined,
              argv: [name, ...words],
            });
            expect([typeof stdout, typeof stderr, Number.isInteger(code)]).toEqual([
              "string",
              "string",
              true,
            ]);
          } catch (error) {
            if (!(error instanceof UserError || error instanceof UserErrors)) throw error;
          }
        }
        sim.runUntilIdle(undefined, 10_000);
      },
    ),
    { numRuns: 150 },
  );
});
