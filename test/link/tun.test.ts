import { describe, expect, test } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { createLinux } from "../../src/tools/stack.js";
import { build, run } from "../tools/tool-fixtures.js";

function node(): Simulation {
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("n");
  return sim;
}

/** Exit code and the first line that a command says. */
function said(sim: Simulation, line: string): string {
  const { code, stdout, stderr } = run(sim, "n", line);
  return `${code} ${(stderr + stdout).split("\n")[0]}`.trim();
}

// Every text as the real ip of iproute2 6.1 printed it on Linux 6.18.
describe("ip tuntap", () => {
  test("makes devices, and lists them with what they were asked for", () => {
    const sim = node();
    build(
      sim,
      `n: ip tuntap add tap0 mode tap
       n: ip tuntap add dev tun0 mode tun
       n: ip tuntap add tap1 mode tap user root group 0 pi one_queue multi_queue vnet_hdr
       n: ip tuntap add mode tap`,
    );
    expect(run(sim, "n", "ip tuntap show").stdout).toBe(
      "tap0: tap persist\ntun0: tun persist\ntap1: tap pi one_queue multi_queue vnet_hdr persist filter user 0 group 0\ntap2: tap persist\n",
    );
    build(sim, "n: ip tuntap del tap1 mode tap multi_queue\nn: ip tuntap del tap9 mode tap");
    expect(run(sim, "n", "ip tuntap").stdout).toBe(
      "tap0: tap persist\ntun0: tun persist\ntap2: tap persist\n",
    );
  });

  test.each([
    ["ip tuntap add tap0 mode tap", "1 ioctl(TUNSETIFF): Device or resource busy"],
    ["ip tuntap add lo mode tap", "1 ioctl(TUNSETIFF): Device or resource busy"],
    ["ip tuntap add tap2", "1 You failed to specify a tunnel mode"],
    ["ip tuntap add dev tap3 mode foo", '255 Unknown tunnel mode "foo"'],
    ["ip tuntap del tap0 mode tun", "1 ioctl(TUNSETIFF): Invalid argument"],
    ["ip tuntap frob", '255 Command "frob" is unknown, try "ip tuntap help".'],
    [
      "ip tuntap add tap5 mode tap frob",
      '255 Error: either "name" is duplicate, or "frob" is a garbage.',
    ],
    [
      "ip tuntap add tapxxxxxxxxxxxxxxxxxxxxxx5 mode tap",
      '255 Error: argument "tapxxxxxxxxxxxxxxxxxxxxxx5" is wrong: "name" not a valid ifname',
    ],
    ["ip link add tapx type tun", "2 Error: tun/tap creation via rtnetlink is not supported."],
    ["ip link set tun0 address 02:00:00:00:00:01", "2 RTNETLINK answers: Operation not supported"],
    ["ip link set tap0 mtu 65530", "2 Error: mtu greater than device maximum."],
    ["ip link set tun0 mtu 65536", "2 Error: mtu greater than device maximum."],
    ["ip link set tun0 master br0", "2 RTNETLINK answers: Invalid argument"],
    ["ip link add mv link tun0 type macvlan", "2 RTNETLINK answers: Invalid argument"],
  ])("answers %s with %s", (line, answer) => {
    const sim = node();
    build(
      sim,
      `n: ip tuntap add tap0 mode tap
       n: ip tuntap add tun0 mode tun
       n: ip link add br0 type bridge`,
    );
    expect(said(sim, line)).toBe(answer);
  });
});

// What happens to packets is compared with Linux 6.18: lab tap-without-a-program.
describe("a device that no program has open", () => {
  test("has no carrier, whoever is up", () => {
    const sim = node();
    build(
      sim,
      `n: ip tuntap add tap0 mode tap
       n: ip tuntap add tun0 mode tun
       n: ip link set tap0 address 02:00:00:00:00:0a
       n: ip link set tap0 up
       n: ip link set tun0 up
       n: ip addr add 10.1.0.1/24 dev tun0`,
    );
    expect(run(sim, "n", "ip link show tap0").stdout).toBe(
      "2: tap0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc pfifo_fast state DOWN mode DEFAULT group default qlen 1000\n    link/ether 02:00:00:00:00:0a brd ff:ff:ff:ff:ff:ff\n",
    );
    expect(run(sim, "n", "ip addr show tun0").stdout).toBe(
      "3: tun0: <NO-CARRIER,POINTOPOINT,MULTICAST,NOARP,UP> mtu 1500 qdisc pfifo_fast state DOWN group default qlen 500\n    link/none \n    inet 10.1.0.1/24 scope global tun0\n       valid_lft forever preferred_lft forever\n",
    );
    expect(run(sim, "n", "ip -br link show tun0").stdout).toBe(
      "tun0             DOWN           <NO-CARRIER,POINTOPOINT,MULTICAST,NOARP,UP> \n",
    );
    expect(run(sim, "n", "ip route").stdout).toBe(
      "10.1.0.0/24 dev tun0 proto kernel scope link src 10.1.0.1 linkdown \n",
    );
  });
});
