import { describe, expect, it } from "vitest";
import { inOrderOfUse } from "../../../src/kube/dns/address-order.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { formatIp, parseIpv4, parseIpv6 } from "../../../src/wire/ip.js";

/** What getaddrinfo of glibc 2.36 gave a program in a namespace with these addresses, for names of /etc/hosts. */
const recorded: readonly {
  readonly has: readonly string[];
  readonly asked: readonly string[];
  readonly told: readonly string[];
}[] = [
  {
    has: ["10.244.0.5/24", "fd00:10:244::5/64"],
    asked: ["10.96.0.10", "fd00:10:96::a"],
    told: ["fd00:10:96::a", "10.96.0.10"],
  },
  {
    has: ["10.244.0.5/24", "fd00:10:244::5/64"],
    asked: ["10.96.0.10", "2001:db8::9"],
    told: ["10.96.0.10", "2001:db8::9"],
  },
  {
    has: ["10.244.0.5/24", "2001:db8:1::5/64"],
    asked: ["10.96.0.10", "fd00:10:96::a"],
    told: ["10.96.0.10", "fd00:10:96::a"],
  },
  {
    has: ["10.244.0.5/24", "2001:db8:1::5/64"],
    asked: ["10.96.0.10", "2001:db8::9"],
    told: ["2001:db8::9", "10.96.0.10"],
  },
  {
    has: ["10.244.0.5/24"],
    asked: ["10.96.0.10", "fd00:10:96::a"],
    told: ["10.96.0.10", "fd00:10:96::a"],
  },
];

function ordered(has: readonly string[], asked: readonly string[]): readonly string[] {
  const sim = createLinux({ seed: 1 });
  const run = (line: string): void => {
    const { stderr } = runTool(sim, { ns: "pod", argv: line.split(" ") });
    expect(stderr, line).toBe("");
  };
  sim.createNamespace("pod");
  run("sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
  run("ip link add eth0 type veth peer name peer0");
  run("ip link set eth0 up");
  run("ip link set peer0 up");
  for (const address of has)
    run(`ip addr add ${address} dev eth0${address.includes(":") ? " nodad" : ""}`);
  run("ip route add default via 10.244.0.1");
  const v6 = has.find((text) => text.includes(":"));
  if (v6 !== undefined) run(`ip -6 route add default via ${v6.replace(/::.*/, "::1")} dev eth0`);
  const ns = sim.namespaces.get("pod");
  if (ns === undefined) throw new Error("no namespace");
  return inOrderOfUse(
    ns,
    asked.flatMap((text) => parseIpv4(text) ?? parseIpv6(text) ?? []),
  ).map(formatIp);
}

describe("the order in which a program tries the addresses of a name", () => {
  it.each(recorded)("$has, asked for $asked", ({ has, asked, told }) => {
    expect(ordered(has, asked)).toEqual(told);
  });

  it("puts the IPv6 address first that is nearest to its source", () => {
    const has = ["10.244.0.5/24", "fd00:10:244::5/64"];
    expect(ordered(has, ["fd00:10:245::7", "fd00:10:244::9"])).toEqual([
      "fd00:10:244::9",
      "fd00:10:245::7",
    ]);
  });

  it("keeps addresses of IPv4 as they came", () => {
    expect(ordered(["10.244.0.5/24"], ["10.244.1.2", "10.244.0.9"])).toEqual([
      "10.244.1.2",
      "10.244.0.9",
    ]);
  });
});
