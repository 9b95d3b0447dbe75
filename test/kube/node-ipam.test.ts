import fc from "fast-check";
import { IPv4CidrRange, IPv4Prefix } from "ip-num";
import { Netmask } from "netmask";
import { expect, test } from "vitest";
import type { UserError } from "../../src/base/errors.js";
import { assignPodCidrs, CidrSet } from "../../src/kube/controllers/node-ipam.js";
import {
  formatIpv4Prefix,
  ipv4,
  type Ipv4Prefix,
  networkOf,
  parseIpv4Prefix,
} from "../../src/wire/ip.js";
import { load, shown } from "./texts.js";

function prefix(text: string): Ipv4Prefix {
  const parsed = parseIpv4Prefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function nodes(
  ...cidrs: readonly (string | undefined)[]
): ReturnType<typeof load>["objects"]["Node"] {
  const texts = cidrs.map(
    (cidr, index) =>
      `apiVersion: v1\nkind: Node\nmetadata: {name: n${index}}\nspec:${cidr === undefined ? " {}" : `\n  podCIDR: ${cidr}`}\n`,
  );
  return load(texts.join("---\n")).objects.Node;
}

function assign(
  cidrs: readonly (string | undefined)[],
  cluster = "10.244.0.0/16",
  service = "10.96.0.0/12",
): { blocks: string[]; mistakes: string[] } {
  const errors: UserError[] = [];
  const assigned = assignPodCidrs(nodes(...cidrs), prefix(cluster), prefix(service), errors);
  return {
    blocks: cidrs.map((_, index) => {
      const block = assigned.get(`n${index}`);
      return block === undefined ? "-" : formatIpv4Prefix(block);
    }),
    mistakes: errors.map(shown),
  };
}

test("nodes get the /24s of the cluster CIDR in order", () => {
  expect(assign([undefined, undefined, undefined]).blocks).toEqual([
    "10.244.0.0/24",
    "10.244.1.0/24",
    "10.244.2.0/24",
  ]);
});

test("given blocks are kept and stepped over, whatever their size", () => {
  expect(
    assign([undefined, "10.244.0.0/24", "10.244.2.0/23", undefined, "10.50.0.0/24"]).blocks,
  ).toEqual(["10.244.1.0/24", "10.244.0.0/24", "10.244.2.0/23", "10.244.4.0/24", "10.50.0.0/24"]);
});

test("blocks that overlap the service CIDR are not given out", () => {
  expect(assign([undefined, undefined], "10.244.0.0/16", "10.244.0.0/23").blocks).toEqual([
    "10.244.2.0/24",
    "10.244.3.0/24",
  ]);
});

test("a freed block is used again only after the others", () => {
  const set = new CidrSet(prefix("10.244.0.0/22"), 24);
  const [first, second] = [set.allocate(), set.allocate()];
  set.release(first ?? prefix("0.0.0.0/0"));
  expect(
    [set.allocate(), set.allocate(), set.allocate(), set.allocate()].map(
      (block) => block && formatIpv4Prefix(block),
    ),
  ).toEqual(["10.244.2.0/24", "10.244.3.0/24", "10.244.0.0/24", undefined]);
  expect(second && formatIpv4Prefix(second)).toBe("10.244.1.0/24");
});

test("overlapping pod CIDRs are an error at the later one, in whatever order they are sorted", () => {
  expect(assign(["10.244.1.0/24", "10.244.2.0/24", "10.244.0.0/22"]).mistakes).toEqual([
    "world.yaml:17:12: Node n2: pod CIDR 10.244.0.0/22 overlaps 10.244.1.0/24 of node n0\nhelp: the other one is at world.yaml:5; every node needs a pod CIDR of its own",
    "world.yaml:17:12: Node n2: pod CIDR 10.244.0.0/22 overlaps 10.244.2.0/24 of node n1\nhelp: the other one is at world.yaml:11; every node needs a pod CIDR of its own",
  ]);
});

test("what is no network is refused at its place", () => {
  expect(assign(["10.244.1.5/24", "10.244.300.0/24", "10.244.1.0"]).mistakes).toEqual([
    "world.yaml:5:12: Node n0: pod CIDR 10.244.1.5/24 has host bits set; the network address is 10.244.1.0/24",
    "world.yaml:11:12: Node n1: invalid CIDR address: 10.244.300.0/24",
    "world.yaml:17:12: Node n2: invalid CIDR address: 10.244.1.0",
  ]);
});

test("a cluster CIDR with no room left says how many nodes it has room for", () => {
  expect(assign([undefined, undefined, undefined], "10.244.0.0/23").mistakes).toEqual([
    "world.yaml:11:1: Node n2: CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range\nhelp: 10.244.0.0/23 has room for 2 nodes of /24",
  ]);
});

test("a cluster CIDR is cut into the subnets that ip-num cuts it into, in their order", () => {
  const arbitrary = fc.tuple(
    fc.nat(0xffff_ffff),
    fc.integer({ min: 8, max: 24 }),
    fc.integer({ min: 0, max: 6 }),
  );
  fc.assert(
    fc.property(arbitrary, ([address, length, more]) => {
      const cluster = networkOf({ address: ipv4(address), length });
      const set = new CidrSet(cluster, length + more);
      const wanted = IPv4CidrRange.fromCidr(formatIpv4Prefix(cluster)).splitInto(
        new IPv4Prefix(BigInt(length + more)),
      );
      const given = wanted.map(() => set.allocate());
      expect(given.map((block) => block && formatIpv4Prefix(block))).toEqual(
        wanted.map((range) => range.toCidrString()),
      );
      expect(set.allocate()).toBeUndefined();
    }),
    { numRuns: 100 },
  );
});

test("no block overlaps an occupied one or another, as netmask sees it", () => {
  const block = fc.tuple(fc.nat(0xffff), fc.integer({ min: 18, max: 28 }));
  fc.assert(
    fc.property(fc.array(block, { maxLength: 8 }), (occupied) => {
      const set = new CidrSet(prefix("10.244.0.0/16"), 24);
      const taken = occupied.map(([low, length]) =>
        networkOf({ address: ipv4(0x0af4_0000 + low), length }),
      );
      for (const one of taken) set.occupy(one);
      const masks = taken.map((one) => new Netmask(formatIpv4Prefix(one)));
      const free = new Set(
        Array.from({ length: 256 }, (_, index) => `10.244.${index}.0/24`).filter(
          (text) =>
            !masks.some(
              (mask) => mask.contains(text) || new Netmask(text).contains(mask.toString()),
            ),
        ),
      );
      const given: string[] = [];
      for (let next = set.allocate(); next !== undefined; next = set.allocate())
        given.push(formatIpv4Prefix(next));
      expect(new Set(given)).toEqual(free);
      expect(given.length).toBe(free.size);
    }),
    { numRuns: 200 },
  );
});
