import fc from "fast-check";
import { IPv4CidrRange } from "ip-num";
import { expect, test } from "vitest";
import { CniHost } from "../../src/kube/cni/host.js";
import { runPlugin } from "../../src/kube/cni/run.js";
import { formatIpv4Prefix, ipv4, networkOf } from "../../src/wire/ip.js";

interface Reply {
  readonly ips?: readonly { readonly address: string }[];
  readonly msg?: string;
}

function call(host: CniHost, command: string, id: string, ipam: object, args = ""): Reply {
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_NETNS: "/run/netns/c",
    CNI_IFNAME: "eth0",
    CNI_PATH: "/opt/cni/bin",
    CNI_ARGS: args,
  };
  const config = {
    cniVersion: "1.0.0",
    name: "n",
    type: "host-local",
    ipam: { type: "host-local", ...ipam },
  };
  const { stdout } = runPlugin(host, "host-local", { env, stdin: JSON.stringify(config) });
  return stdout === "" ? {} : (JSON.parse(stdout) as Reply);
}

function addressOf(reply: Reply): string | undefined {
  return reply.ips?.[0]?.address.split("/", 1)[0];
}

test("a subnet gives every address but its network, its gateway and its broadcast once, in the order ip-num counts", () => {
  fc.assert(
    fc.property(fc.nat(0xdfff_ffff), fc.integer({ min: 26, max: 30 }), (address, length) => {
      const subnet = formatIpv4Prefix(networkOf({ address: ipv4(address), length }));
      const all = [...IPv4CidrRange.fromCidr(subnet)].map(String);
      const host = new CniHost("h");
      const given = all
        .slice(2, -1)
        .map((_, index) => addressOf(call(host, "ADD", `c${index}`, { subnet })));
      expect(given).toEqual(all.slice(2, -1));
      expect(call(host, "ADD", "last", { subnet }).msg).toBe(
        `failed to allocate for range 0: no IP addresses available in range set: ${all[1]}-${all.at(-2)}`,
      );
    }),
    { numRuns: 60 },
  );
});

test("over any history no address is given twice, and none is refused while one is free", () => {
  const action = fc.record({ add: fc.boolean(), id: fc.nat(9), ask: fc.option(fc.nat(7)) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (history) => {
      const host = new CniHost("h");
      const held = new Map<number, string>();
      for (const { add, id, ask } of history) {
        if (!add) {
          call(host, "DEL", `c${id}`, { subnet: "10.0.0.0/29" });
          held.delete(id);
          continue;
        }
        if (held.has(id)) continue;
        const wanted = ask === null ? undefined : `10.0.0.${ask}`;
        const got = addressOf(
          call(
            host,
            "ADD",
            `c${id}`,
            { subnet: "10.0.0.0/29" },
            wanted === undefined ? "" : `IP=${wanted}`,
          ),
        );
        const taken = [...held.values()];
        if (got === undefined) {
          const askable =
            wanted !== undefined && /\.[2-6]$/.test(wanted) && !taken.includes(wanted);
          expect(wanted === undefined ? taken.length : askable).toBe(
            wanted === undefined ? 5 : false,
          );
        } else {
          expect(taken).not.toContain(got);
          expect(got).toMatch(/^10\.0\.0\.[2-6]$/);
          if (wanted !== undefined) expect(got).toBe(wanted);
          held.set(id, got);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test.each([
  [
    { subnet: "10.0.0.0/24", rangeStart: "10.1.0.1" },
    "invalid range set 0: RangeStart 10.1.0.1 not in network 10.0.0.0/24",
  ],
  [
    { subnet: "10.0.0.0/24", rangeEnd: "10.1.0.1" },
    "invalid range set 0: RangeEnd 10.1.0.1 not in network 10.0.0.0/24",
  ],
  [
    { subnet: "10.0.0.0/24", rangeStart: "10.0.0.9", rangeEnd: "10.0.0.5" },
    "invalid range set 0: RangeStart 10.0.0.9 not in network 10.0.0.0/24",
  ],
  [
    {
      ranges: [
        [
          { subnet: "10.0.0.0/24", rangeStart: "10.0.0.1", rangeEnd: "10.0.0.9" },
          { subnet: "10.0.0.0/24", rangeStart: "10.0.0.5", rangeEnd: "10.0.0.20" },
        ],
      ],
    },
    "invalid range set 0: subnets 10.0.0.1-10.0.0.9 and 10.0.0.5-10.0.0.20 overlap",
  ],
  [
    { ranges: [[{ subnet: "10.0.0.0/24" }], [{ subnet: "10.0.0.0/25" }]] },
    "range set 0 overlaps with 1",
  ],
])("the range %j is refused in the plugin's words", (ipam, message) => {
  expect(call(new CniHost("h"), "ADD", "c", ipam).msg).toBe(message);
});

test("several sets give an address each, and a failure of a later set gives back the earlier address", () => {
  const host = new CniHost("h");
  const ipam = { ranges: [[{ subnet: "10.0.0.0/24" }], [{ subnet: "10.1.0.0/30" }]] };
  expect(call(host, "ADD", "a", ipam).ips?.map(({ address }) => address)).toEqual([
    "10.0.0.2/24",
    "10.1.0.2/30",
  ]);
  expect(call(host, "ADD", "b", ipam).msg).toBe(
    "failed to allocate for range 1: no IP addresses available in range set: 10.1.0.1-10.1.0.2",
  );
  expect([...host.files.keys()].filter((file) => file.endsWith("10.0.0.3"))).toEqual([]);
});
