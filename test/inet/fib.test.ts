import fc from "fast-check";
import { expect, test } from "vitest";
import { Dummy } from "../../src/link/dummy.js";
import type { NetDevice } from "../../src/core/device.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import type { RouteType } from "../../src/core/route.js";
import { formatRouteLines } from "../../src/inet/fib-format.js";
import { type AddMode, fib } from "../../src/inet/fib.js";
import { formatRule } from "../../src/inet/fib-rules.js";
import {
  type FibRoute,
  type FlowKey,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  type RouteSpec,
} from "../../src/inet/fib-types.js";
import { IPV4_ANY, type Ipv4, ipv4, maskIpv4, parseIpv4Prefix } from "../../src/wire/ip.js";
import { give, host, ip, simulation } from "./inet-fixtures.js";

// The texts were read from ip 6.1 on 6.18: addresses 10.1.0.1/24 on v0, 10.2.0.1/24 on v1, then these commands.

interface Lab {
  readonly ns: NetworkNamespace;
  readonly v0: NetDevice;
  readonly v1: NetDevice;
}

function lab(): Lab {
  const sim = simulation();
  const ns = host(sim, "h");
  const [v0, v1] = ["v0", "v1"].map((name, index) => {
    const dev = new Dummy({ name, ns, mac: (2 + index) as NetDevice["mac"], mtu: 1500 }).register();
    dev.setUp(true);
    give(dev, `10.${index + 1}.0.1/24`);
    return dev;
  });
  if (v0 === undefined || v1 === undefined) throw new Error("no devices");
  return { ns, v0, v1 };
}

function add(
  ns: NetworkNamespace,
  destination: string,
  spec: Omit<RouteSpec, "prefix"> = {},
  mode?: AddMode,
): string | undefined {
  const prefix = parseIpv4Prefix(destination === "default" ? "0.0.0.0/0" : destination);
  if (prefix === undefined) throw new Error(destination);
  return fib(ns).add({ prefix, ...spec }, mode);
}

function show(ns: NetworkNamespace, table = RT_TABLE_MAIN): string {
  return (fib(ns).list(table) ?? []).flatMap((route) => formatRouteLines(route)).join("\n");
}

test("routes are listed by address, TOS and metric, in the words of ip route", () => {
  const { ns, v0, v1 } = lab();
  const via = (gateway: string): Omit<RouteSpec, "prefix"> => ({
    nexthops: [{ gateway: ip(gateway) }],
  });
  expect(add(ns, "default", via("10.1.0.1"))).toBeUndefined();
  expect(add(ns, "10.50.0.0/16", via("10.1.0.8"))).toBeUndefined();
  expect(
    add(ns, "10.50.0.0/16", {
      ...via("10.1.0.8"),
      metric: 10,
      tos: 0x10,
      source: ip("10.1.0.1"),
      mtu: 1400,
    }),
  ).toBeUndefined();
  expect(
    add(ns, "10.51.0.0/16", { nexthops: [{ gateway: ip("10.99.0.9"), dev: v1, onlink: true }] }),
  ).toBeUndefined();
  expect(add(ns, "10.52.0.0/16", { type: "unreachable", metric: 5 })).toBeUndefined();
  expect(add(ns, "10.53.0.1/32", { type: "blackhole" })).toBeUndefined();
  const multipath = {
    nexthops: [
      { gateway: ip("10.1.0.5"), weight: 2 },
      { gateway: ip("10.2.0.5"), dev: v1 },
      { dev: v0 },
    ],
  };
  expect(add(ns, "10.56.0.0/24", multipath)).toBeUndefined();
  expect(
    add(ns, "10.60.0.0/24", {
      nexthops: [{ dev: v0 }],
      protocol: 4,
      mtu: 1300,
      mtuLock: true,
      advmss: 1000,
    }),
  ).toBeUndefined();
  expect(add(ns, "default", { type: "prohibit", metric: 3000 })).toBeUndefined();
  expect(show(ns)).toBe(
    [
      "default via 10.1.0.1 dev v0 ",
      "prohibit default metric 3000 ",
      "10.1.0.0/24 dev v0 proto kernel scope link src 10.1.0.1 ",
      "10.2.0.0/24 dev v1 proto kernel scope link src 10.2.0.1 ",
      "10.50.0.0/16 tos 0x10 via 10.1.0.8 dev v0 src 10.1.0.1 metric 10 mtu 1400 ",
      "10.50.0.0/16 via 10.1.0.8 dev v0 ",
      "10.51.0.0/16 via 10.99.0.9 dev v1 onlink ",
      "unreachable 10.52.0.0/16 metric 5 ",
      "blackhole 10.53.0.1 ",
      "10.56.0.0/24 ",
      "\tnexthop via 10.1.0.5 dev v0 weight 2 ",
      "\tnexthop via 10.2.0.5 dev v1 weight 1 ",
      "\tnexthop dev v0 weight 1 ",
      "10.60.0.0/24 dev v0 proto static scope link mtu lock 1300 advmss 1000 ",
    ].join("\n"),
  );
});

test("a route that cannot be is refused in the kernel's words", () => {
  const { ns, v0 } = lab();
  const gateway = (text: string): RouteSpec["nexthops"] => [{ gateway: ip(text) }];
  expect(add(ns, "10.50.0.0/16", { nexthops: gateway("10.99.0.1") })).toBe(
    "Error: Nexthop has invalid gateway.",
  );
  expect(add(ns, "10.50.0.0/16", { nexthops: gateway("10.1.0.8"), scope: 253 })).toBe(
    "Error: Nexthop has invalid gateway.",
  );
  expect(add(ns, "10.63.0.0/24", { nexthops: [{ gateway: ip("10.2.0.9"), dev: v0 }] })).toBe(
    "Error: Nexthop has invalid gateway.",
  );
  expect(add(ns, "10.57.0.0/24", { nexthops: [{ dev: v0 }], source: ip("10.33.0.1") })).toBe(
    "Error: Invalid prefsrc address.",
  );
  expect(add(ns, "10.61.0.1/24", { nexthops: [{ dev: v0 }] })).toBe(
    "Error: Invalid prefix for given prefix length.",
  );
  expect(add(ns, "10.5.0.0/24")).toBe("RTNETLINK answers: No such device");
  expect(add(ns, "10.4.4.4/32", { type: "unreachable", nexthops: [{ dev: v0 }] })).toBe(
    "Error: Gateway, device and multipath can not be specified for this route type.",
  );
  v0.setUp(false);
  expect(add(ns, "10.44.0.0/16", { nexthops: [{ dev: v0 }] })).toBe(
    "Error: Device for nexthop is not up.",
  );
  expect(
    add(ns, "10.44.0.0/16", { nexthops: [{ dev: v0, gateway: ip("10.1.0.9"), onlink: true }] }),
  ).toBe("Error: Nexthop device is not up.");
});

test("add refuses what append puts behind, and a second equal one is refused by both", () => {
  const { ns } = lab();
  const to = (gateway: string, mode: AddMode): string | undefined =>
    add(ns, "10.50.0.0/16", { nexthops: [{ gateway: ip(gateway) }] }, mode);
  expect(to("10.1.0.9", "add")).toBeUndefined();
  expect(to("10.1.0.8", "add")).toBe("RTNETLINK answers: File exists");
  expect(to("10.1.0.8", "append")).toBeUndefined();
  expect(to("10.1.0.8", "append")).toBe("RTNETLINK answers: File exists");
  expect(to("10.1.0.7", "prepend")).toBeUndefined();
  expect(show(ns).match(/10\.1\.0\.[789](?= )/g)).toEqual(["10.1.0.7", "10.1.0.9", "10.1.0.8"]);
  expect(to("10.1.0.6", "replace")).toBeUndefined();
  expect(show(ns).match(/10\.1\.0\.[6789](?= )/g)).toEqual(["10.1.0.6", "10.1.0.9", "10.1.0.8"]);
  expect(add(ns, "10.88.0.0/16", { nexthops: [{ gateway: ip("10.1.0.6") }] }, "change")).toBe(
    "RTNETLINK answers: No such file or directory",
  );
  expect(fib(ns).remove({ prefix: { address: ip("10.50.0.0"), length: 16 } })).toBeUndefined();
  expect(show(ns).match(/10\.1\.0\.[6789](?= )/g)).toEqual(["10.1.0.9", "10.1.0.8"]);
  expect(fib(ns).remove({ prefix: { address: ip("10.77.0.0"), length: 24 } })).toBe(
    "RTNETLINK answers: No such process",
  );
});

test("rules are printed and numbered as ip rule does it", () => {
  const { ns } = lab();
  const tables = fib(ns);
  const prefix = (text: string): { readonly address: Ipv4; readonly length: number } =>
    parseIpv4Prefix(text) ?? { address: IPV4_ANY, length: 0 };
  expect(
    tables.addRule({ action: "lookup", table: 200, from: prefix("10.1.0.0/24") }),
  ).toBeUndefined();
  expect(
    tables.addRule({ action: "lookup", table: 100, mark: 1, markMask: 0xff, priority: 50 }),
  ).toBeUndefined();
  expect(
    tables.addRule({
      action: "blackhole",
      iif: "v0",
      oif: "v1",
      to: prefix("10.5.0.0/16"),
      tos: 0x10,
    }),
  ).toBeUndefined();
  expect(
    tables.addRule({ action: "unreachable", not: true, from: prefix("10.9.0.0/16") }),
  ).toBeUndefined();
  expect(tables.addRule({ action: "lookup", table: 254, suppressPrefixLength: 0 })).toBeUndefined();
  expect(tables.addRule({ action: "goto", target: 32766, priority: 10 })).toBeUndefined();
  expect(tables.addRule({ action: "prohibit", mark: 5 })).toBeUndefined();
  expect(
    tables.addRule({
      action: "lookup",
      table: 253,
      protocol: 6,
      destinationPorts: [80, 80],
      uids: [0, 100],
    }),
  ).toBeUndefined();
  expect(tables.rules.map(formatRule)).toEqual([
    "0:\tfrom all lookup local",
    "8:\tfrom all uidrange 0-100 ipproto tcp dport 80 lookup default",
    "9:\tfrom all fwmark 0x5 prohibit",
    "10:\tfrom all goto 32766",
    "47:\tfrom all lookup main suppress_prefixlength 0",
    "48:\tnot from 10.9.0.0/16 unreachable",
    "49:\tfrom all to 10.5.0.0/16 tos 0x10 iif v0 oif v1 blackhole",
    "50:\tfrom all fwmark 0x1/0xff lookup 100",
    "32765:\tfrom 10.1.0.0/24 lookup 200",
    "32766:\tfrom all lookup main",
    "32767:\tfrom all lookup default",
  ]);
  expect(tables.addRule({ action: "goto", target: 10, priority: 200 })).toBe(
    "Error: Backward goto not supported.",
  );
  expect(tables.addRule({ action: "prohibit", mark: 5, priority: 9 })).toBe(
    "RTNETLINK answers: File exists",
  );
  expect(tables.removeRule({ priority: 999 })).toBe("RTNETLINK answers: No such file or directory");
});

test("a rule that names no prefix and no TOS exists already when one with them does, and `not` is not looked at", () => {
  const tables = fib(lab().ns);
  const add = tables.addRule.bind(tables);
  const exists = "RTNETLINK answers: File exists";
  const to = { address: ip("10.0.0.0"), length: 8 };
  const lookup = { action: "lookup", table: 100 } as const;
  expect(add({ ...lookup, priority: 107, to })).toBeUndefined();
  expect(add({ ...lookup, priority: 107 })).toBe(exists);
  expect(add({ ...lookup, priority: 107, from: to })).toBeUndefined();
  expect(add({ ...lookup, priority: 108, not: true, from: to })).toBeUndefined();
  expect(add({ ...lookup, priority: 108, from: to })).toBe(exists);
  expect(add({ ...lookup, priority: 109, tos: 0x10 })).toBeUndefined();
  expect(add({ ...lookup, priority: 109 })).toBe(exists);
  expect(add({ action: "goto", target: 32_766, priority: 110 })).toBeUndefined();
  expect(add({ action: "goto", target: 32_767, priority: 110 })).toBe(exists);
  expect(add({ ...lookup, priority: 111, suppressPrefixLength: 0 })).toBeUndefined();
  expect(add({ ...lookup, priority: 111 })).toBeUndefined();
});

function key(destination: Ipv4, change: Partial<FlowKey> = {}): FlowKey {
  const base = {
    source: IPV4_ANY,
    tos: 0,
    mark: 0,
    iif: "lo",
    oif: undefined,
    scope: 0,
    uid: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
  };
  return { destination, ignoreLinkState: false, ...base, ...change };
}

test("throw goes on with the next rule, and a rule's unreachable is not a route's", () => {
  const { ns, v0 } = lab();
  const tables = fib(ns);
  expect(add(ns, "10.54.0.0/24", { type: "throw", table: 100 })).toBeUndefined();
  expect(add(ns, "10.55.0.0/24", { type: "unreachable", table: 100 })).toBeUndefined();
  expect(add(ns, "10.54.0.0/16", { nexthops: [{ dev: v0 }] })).toBeUndefined();
  expect(tables.addRule({ action: "lookup", table: 100, mark: 1 })).toBeUndefined();
  expect(tables.addRule({ action: "unreachable", mark: 2 })).toBeUndefined();
  expect(tables.lookup(key(ip("10.54.0.1"), { mark: 1 }))).toMatchObject({
    kind: "match",
    route: { table: RT_TABLE_MAIN },
  });
  expect(tables.lookup(key(ip("10.55.0.1"), { mark: 1 }))).toMatchObject({
    kind: "miss",
    error: "EHOSTUNREACH",
  });
  expect(tables.lookup(key(ip("10.54.0.1"), { mark: 2 }))).toMatchObject({
    kind: "miss",
    error: "ENETUNREACH",
    rule: "32764:\tfrom all fwmark 0x2 unreachable",
  });
  expect(tables.lookup(key(ip("10.99.0.1"), { mark: 1 }))).toMatchObject({
    kind: "miss",
    error: "ENETUNREACH",
  });
});

/** The slow, obvious way: look at every route of both tables and keep the best. */
function oracle(routes: readonly FibRoute[], destination: Ipv4, tos: number): FibRoute | undefined {
  const fits = (route: FibRoute): boolean =>
    maskIpv4(destination, route.prefix.length) === route.prefix.address &&
    (route.tos === 0 || route.tos === tos);
  const better = (a: FibRoute, b: FibRoute): number =>
    b.prefix.length - a.prefix.length || b.table - a.table || b.tos - a.tos || a.metric - b.metric;
  return routes.filter(fits).sort(better)[0];
}

test("the longest prefix, then TOS, then metric wins, as a search of all routes finds it", () => {
  const types: readonly RouteType[] = ["unicast", "unreachable", "blackhole", "prohibit"];
  const arbitraryRoute = fc.record({
    bits: fc.integer({ min: 0, max: 0xff }),
    length: fc.integer({ min: 0, max: 32 }),
    type: fc.constantFrom(...types),
    tos: fc.constantFrom(0, 0x10, 0x20),
    metric: fc.integer({ min: 0, max: 3 }),
    local: fc.boolean(),
  });
  const toAddress = (bits: number): Ipv4 => ipv4(Math.imul(bits, 0x0101_0101));
  fc.assert(
    fc.property(
      fc.array(arbitraryRoute, { maxLength: 40 }),
      fc.integer({ min: 0, max: 0xff }),
      fc.constantFrom(0, 0x10),
      (specs, bits, tos) => {
        const { ns, v0 } = lab();
        for (const { bits: of, length, type, tos: routeTos, metric, local } of specs) {
          const prefix = { address: maskIpv4(toAddress(of), length), length };
          const nexthops = type === "unicast" ? [{ dev: v0 }] : [];
          fib(ns).add({
            prefix,
            type,
            tos: routeTos,
            metric,
            table: local ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
            nexthops,
          });
        }
        const all = [
          ...(fib(ns).list(RT_TABLE_LOCAL) ?? []),
          ...(fib(ns).list(RT_TABLE_MAIN) ?? []),
        ];
        const found = fib(ns).lookup(key(toAddress(bits), { tos }));
        expect(found.route).toBe(oracle(all, toAddress(bits), tos));
      },
    ),
    { numRuns: 200 },
  );
});
