import { expect, test } from "vitest";
import type { NetDevice } from "../../src/core/device.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import { addAddress, addressesOf, removeAddress } from "../../src/inet/addresses.js";
import { formatRouteLines } from "../../src/inet/fib-format.js";
import { fib } from "../../src/inet/fib.js";
import { inetAddrType, selectSource } from "../../src/inet/route.js";
import { createVethPair } from "../../src/link/veth.js";
import { IPV4_ANY, formatIpv4, parseIpv4Prefix } from "../../src/wire/ip.js";
import { give, host, ip, set, simulation } from "./inet-fixtures.js";

// Every table below was read from `ip -4 route show table all` (ip 6.1, kernel 6.18) after the same commands.

interface Lab {
  readonly ns: NetworkNamespace;
  readonly v0: NetDevice;
  readonly v1: NetDevice;
}

function lab(): Lab {
  const sim = simulation();
  const ns = host(sim, "h");
  const [v0, v1] = createVethPair(sim, { name: "v0", ns }, { name: "v1", ns });
  v0.setUp(true);
  v1.setUp(true);
  return { ns, v0, v1 };
}

function routes(ns: NetworkNamespace): readonly string[] {
  return [254, 255]
    .flatMap((table) => fib(ns).list(table) ?? [])
    .flatMap((route) => formatRouteLines(route, route.table === 255))
    .filter((line) => !line.includes(" 127."))
    .map((line) => line.trimEnd());
}

function take(dev: NetDevice, text: string): string | undefined {
  const prefix = parseIpv4Prefix(text);
  return prefix === undefined ? "not an address" : removeAddress(dev, prefix);
}

test("an address makes its local, connected and broadcast routes; a second of the subnet is secondary", () => {
  const { ns, v0 } = lab();
  for (const text of ["10.1.0.1/24", "10.1.0.2/24", "10.9.0.1/32", "10.8.0.0/31"]) give(v0, text);
  expect(routes(ns)).toEqual([
    "10.1.0.0/24 dev v0 proto kernel scope link src 10.1.0.1",
    "10.8.0.0/31 dev v0 proto kernel scope link src 10.8.0.0",
    "local 10.1.0.1 dev v0 table local proto kernel scope host src 10.1.0.1",
    "local 10.1.0.2 dev v0 table local proto kernel scope host src 10.1.0.1",
    "broadcast 10.1.0.255 dev v0 table local proto kernel scope link src 10.1.0.1",
    "local 10.8.0.0 dev v0 table local proto kernel scope host src 10.8.0.0",
    "local 10.9.0.1 dev v0 table local proto kernel scope host src 10.9.0.1",
  ]);
  expect(
    addressesOf(v0).map(
      ({ local, secondary }) => `${formatIpv4(local)}${secondary ? " secondary" : ""}`,
    ),
  ).toEqual(["10.1.0.1", "10.9.0.1", "10.8.0.0", "10.1.0.2 secondary"]);
});

test("the last address of a device takes every route over the device with it, one of several only its own", () => {
  const { ns, v0 } = lab();
  give(v0, "10.1.0.1/24");
  fib(ns).add({
    type: "unicast",
    prefix: { address: ip("10.9.0.0"), length: 24 },
    nexthops: [{ dev: v0, gateway: ip("10.1.0.2") }],
  });
  give(v0, "10.2.0.1/24");
  expect(take(v0, "10.1.0.1/24")).toBe(undefined);
  expect(routes(ns)).toContain("10.9.0.0/24 via 10.1.0.2 dev v0");
  expect(take(v0, "10.2.0.1/24")).toBe(undefined);
  expect(routes(ns)).toEqual([]);
});

test("a peer address makes a route to the peer, an explicit broadcast a second broadcast route", () => {
  const { ns, v0 } = lab();
  addAddress(v0, { address: ip("10.7.0.1"), length: 32, peer: ip("10.7.0.2") });
  addAddress(v0, { address: ip("10.67.0.1"), length: 24, broadcast: ip("10.67.0.200") });
  addAddress(v0, { address: ip("10.66.0.1"), length: 24, noPrefixRoute: true });
  expect(routes(ns)).toEqual([
    "10.7.0.2 dev v0 proto kernel scope link src 10.7.0.1",
    "10.67.0.0/24 dev v0 proto kernel scope link src 10.67.0.1",
    "local 10.7.0.1 dev v0 table local proto kernel scope host src 10.7.0.1",
    "local 10.66.0.1 dev v0 table local proto kernel scope host src 10.66.0.1",
    "broadcast 10.66.0.255 dev v0 table local proto kernel scope link src 10.66.0.1",
    "local 10.67.0.1 dev v0 table local proto kernel scope host src 10.67.0.1",
    "broadcast 10.67.0.200 dev v0 table local proto kernel scope link src 10.67.0.1",
    "broadcast 10.67.0.255 dev v0 table local proto kernel scope link src 10.67.0.1",
  ]);
});

test("a primary takes its secondaries and the routes that named it along, unless they are promoted", () => {
  const { ns, v0 } = lab();
  for (const text of ["10.1.0.1/24", "10.1.0.2/24"]) give(v0, text);
  fib(ns).add({
    prefix: { address: ip("10.30.0.0"), length: 16 },
    source: ip("10.1.0.2"),
    nexthops: [{ gateway: ip("10.1.0.9") }],
  });
  expect(take(v0, "10.1.0.1/24")).toBeUndefined();
  expect(routes(ns).filter((line) => line.includes("10.1.") || line.includes("10.30."))).toEqual(
    [],
  );
  set(ns, "net.ipv4.conf.v0.promote_secondaries", 1);
  for (const text of ["10.2.0.1/24", "10.2.0.2/24", "10.2.0.3/24"]) give(v0, text);
  expect(take(v0, "10.2.0.1/24")).toBeUndefined();
  expect(routes(ns)).toEqual([
    "10.2.0.0/24 dev v0 proto kernel scope link src 10.2.0.2",
    "local 10.2.0.2 dev v0 table local proto kernel scope host src 10.2.0.2",
    "local 10.2.0.3 dev v0 table local proto kernel scope host src 10.2.0.2",
    "broadcast 10.2.0.255 dev v0 table local proto kernel scope link src 10.2.0.2",
  ]);
});

test("addresses are refused in the kernel's words", () => {
  const { v0 } = lab();
  give(v0, "10.1.0.1/24");
  expect(addAddress(v0, { address: ip("10.1.0.1"), length: 24 })).toBe(
    "Error: ipv4: Address already assigned.",
  );
  expect(addAddress(v0, { address: ip("10.1.0.5"), length: 24, scope: 253 })).toBe(
    "Error: ipv4: Invalid scope value.",
  );
  expect(take(v0, "10.9.0.1/24")).toBe("Error: ipv4: Address not found.");
});

test("down takes all routes of the device but the local ones; up brings back only those of its addresses", () => {
  const { ns, v0, v1 } = lab();
  give(v0, "10.2.0.2/24");
  fib(ns).add({
    prefix: { address: ip("10.40.0.0"), length: 16 },
    nexthops: [{ gateway: ip("10.2.0.9") }],
  });
  const nexthops = [
    { gateway: ip("10.2.0.9") },
    { gateway: ip("10.5.0.9"), dev: v1, onlink: true },
  ];
  fib(ns).add({ prefix: { address: ip("10.41.0.0"), length: 16 }, nexthops });
  fib(ns).add({ prefix: { address: ip("10.42.0.0"), length: 16 }, type: "blackhole" });
  v0.setUp(false);
  expect(routes(ns)).toEqual([
    "10.41.0.0/16 linkdown",
    "\tnexthop via 10.2.0.9 dev v0 weight 1 dead linkdown",
    "\tnexthop via 10.5.0.9 dev v1 weight 1 onlink linkdown",
    "blackhole 10.42.0.0/16",
    "local 10.2.0.2 dev v0 table local proto kernel scope host src 10.2.0.2",
  ]);
  v0.setUp(true);
  expect(routes(ns)).toEqual([
    "10.2.0.0/24 dev v0 proto kernel scope link src 10.2.0.2",
    "10.41.0.0/16",
    "\tnexthop via 10.2.0.9 dev v0 weight 1",
    "\tnexthop via 10.5.0.9 dev v1 weight 1 onlink",
    "blackhole 10.42.0.0/16",
    "local 10.2.0.2 dev v0 table local proto kernel scope host src 10.2.0.2",
    "broadcast 10.2.0.255 dev v0 table local proto kernel scope link src 10.2.0.2",
  ]);
  v1.setUp(false);
  expect(routes(ns)[0]).toBe("10.2.0.0/24 dev v0 proto kernel scope link src 10.2.0.2 linkdown");
});

test("the source of a packet is the address in the gateway's subnet, else the first that fits, else another device's", () => {
  const { ns, v0, v1 } = lab();
  give(v0, "10.50.0.1/24");
  give(v0, "10.60.0.1/24");
  expect(selectSource(v0, ip("10.60.0.9"), 0)).toBe(ip("10.60.0.1"));
  expect(selectSource(v0, ip("10.70.0.9"), 0)).toBe(ip("10.50.0.1"));
  expect(selectSource(v1, IPV4_ANY, 0)).toBe(ip("10.50.0.1"));
  expect(selectSource(v1, IPV4_ANY, 254)).toBe(ip("127.0.0.1"));
  expect(
    ["10.50.0.1", "10.50.0.255", "10.50.0.0", "224.0.0.5", "0.0.0.0"].map((text) =>
      inetAddrType(ns, ip(text)),
    ),
  ).toEqual(["LOCAL", "BROADCAST", "UNICAST", "MULTICAST", "BROADCAST"]);
  expect(inetAddrType(ns, ip("10.50.0.1"), v1)).toBe("UNICAST");
});

test("an address of a device that is down is local all the same", () => {
  const { ns, v0 } = lab();
  v0.setUp(false);
  give(v0, "10.1.0.1/24");
  expect(routes(ns)).toEqual([
    "local 10.1.0.1 dev v0 table local proto kernel scope host src 10.1.0.1",
  ]);
});
