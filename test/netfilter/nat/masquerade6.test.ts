import { expect, test } from "vitest";
import { familyOf } from "../../../src/inet/families.js";
import { UdpSocket } from "../../../src/inet/udp-socket.js";
import { later, seconds } from "../../../src/sim/time.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { build, run } from "../../tools/tool-fixtures.js";
import { ip6 } from "../rig.js";

/** What a 6.18 kernel was seen to do, step by step, with the same addresses. */
test("a masqueraded connection ends with the address it has, or with its device; the next gets another address", () => {
  const sim = createLinux({ seed: 1 });
  const on = (ns: string): string => `${ns}: sysctl -qw net.ipv6.conf.all.disable_ipv6=0`;
  build(
    sim,
    `ip netns add a
    ip netns add r
    ip netns add b
    ${on("a")}
    ${on("r")}
    ${on("b")}
    ip link add eth0 netns a address 02:00:00:00:00:01 type veth peer name eth0 netns r address 02:00:00:00:00:02
    ip link add eth0 netns b address 02:00:00:00:00:03 type veth peer name eth1 netns r address 02:00:00:00:00:04
    a: ip link set eth0 up
    r: ip link set eth0 up
    r: ip link set eth1 up
    b: ip link set eth0 up
    r: sysctl -qw net.ipv6.conf.all.forwarding=1
    a: ip -6 addr add 2001:db8:1::2/64 dev eth0 nodad
    r: ip -6 addr add 2001:db8:1::1/64 dev eth0 nodad
    r: ip -6 addr add 2001:db8:2::1/64 dev eth1 nodad
    r: ip -6 addr add 2001:db8:2::9/64 dev eth1 nodad
    b: ip -6 addr add 2001:db8:2::2/64 dev eth0 nodad
    a: ip -6 route add default via 2001:db8:1::1
    b: ip -6 route add default via 2001:db8:2::1`,
  );
  const stdin = "*nat\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n";
  runTool(sim, { ns: "r", argv: ["ip6tables-restore"], stdin });
  const wait = (): void => sim.runUntilIdle(later(sim.queue.now, seconds(2)));
  wait();
  const a = sim.namespaces.get("a");
  if (a === undefined) throw new Error("no namespace a");
  const send = (port: number): void => {
    const address = ip6("2001:db8:2::2");
    const socket = new UdpSocket(a, {}, familyOf(address));
    socket.bind(ip6("2001:db8:1::2"), port);
    socket.sendTo(new Uint8Array(1), address, 2222);
    sim.runUntilIdle(later(sim.queue.now, seconds(0.2)));
    socket.close();
  };
  /** Every connection by its source port and the address it has outside. */
  const list = (): readonly string[] =>
    [...run(sim, "r", "conntrack -L").stdout.matchAll(/sport=(\d+) .*UNREPLIED.* dst=(\S+)/g)].map(
      ([, port = "", address = ""]) => `${port} ${address}`,
    );

  send(1001);
  expect(list()).toEqual(["1001 2001:db8:2::9"]);
  run(sim, "r", "ip -6 addr del 2001:db8:2::9/64 dev eth1");
  expect(list()).toEqual([]);
  send(1002);
  expect(list()).toEqual(["1002 2001:db8:2::1"]);
  run(sim, "r", "ip -6 addr del 2001:db8:2::1/64 dev eth1");
  expect(list()).toEqual([]);
  run(sim, "r", "ip -6 route add 2001:db8:2::/64 dev eth1");
  send(1003);
  // Its own device has a link-local address alone: another device's reaches farther.
  expect(list()).toEqual(["1003 2001:db8:1::1"]);
  run(sim, "r", "ip link set eth1 down");
  expect(list()).toEqual([]);
  run(sim, "r", "ip link set eth1 up");
  run(sim, "r", "ip -6 addr add 2001:db8:2::1/64 dev eth1 nodad");
  wait();
  send(1004);
  expect(list()).toEqual(["1004 2001:db8:2::1"]);
  run(sim, "r", "ip -6 addr replace 2001:db8:2::1/64 dev eth1 preferred_lft 0 valid_lft forever");
  expect(list()).toEqual(["1004 2001:db8:2::1"]);
});
