import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import type { InputText } from "../../../src/kube/load.js";
import { collectScript } from "../../../src/lab/collect-script.js";
import { readLinks, readPorts } from "../../../src/lab/recorded/read-links.js";
import {
  readFdb,
  readGroups,
  readNeighbours,
  readNeighbours6,
  readNetnsNames,
  readPolicyRules,
  readRoutes,
  readRoutes6,
} from "../../../src/lab/recorded/read-routes.js";
import { readRules, readSockets, readSysctls } from "../../../src/lab/recorded/read-texts.js";
import { loadWorld } from "../../../src/lab/world.js";
import { type DumpFile, json, link, loopback, openRules } from "./dumps.js";

/** The mistake that loading these files ends with. */
function mistake(files: readonly DumpFile[]): UserError {
  try {
    loadWorld(files, "dump");
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("no mistake was found");
}

const node = [
  { file: "r1/iptables-save.txt", text: openRules },
  json("r1/ip-addr.json", [loopback, link(2, "eth0", [["192.0.2.10", 24]])]),
];

describe("a dump with a mistake", () => {
  it("of two nodes in one folder is told by a device that the node does not have", () => {
    const error = mistake([
      ...node,
      json("r1/ip-route.json", [{ dst: "default", gateway: "10.9.0.1", dev: "ens5", flags: [] }]),
    ]);
    expect(error.code).toBe("DUMP_MIXED");
    expect(error.message).toBe(
      "a route of r1 is about the device ens5, and r1 has none: are dumps of two nodes mixed up?",
    );
    expect(error.details).toMatchObject({
      place: { file: "r1/ip-route.json", line: 1 },
      help: "its devices are lo, eth0",
    });
  });

  it("with the same table twice says where both are", () => {
    const error = mistake([...node, { file: "r1/iptables.rules", text: openRules }]);
    expect(error.code).toBe("DUMP_TWICE");
    expect(error.message).toBe(
      "iptables-save of r1 is there twice: r1/iptables-save.txt and r1/iptables.rules",
    );
  });

  it("that was cut short is placed where it ends", () => {
    const whole = node[1]?.text ?? "";
    const error = mistake([{ file: "r1/ip-addr.json", text: whole.slice(0, 120) }]);
    expect(error.details.place).toMatchObject({ file: "r1/ip-addr.json" });
  });

  it("with an address that is none is placed at its field", () => {
    const error = mistake([
      json("r1/ip-neigh.json", [
        { dst: "10.0.0.300", dev: "eth0", lladdr: "02:00:00:00:00:01", state: ["STALE"] },
      ]),
    ]);
    expect(error.message).toBe('ip neigh: "10.0.0.300" is not an IPv4 address');
    expect(error.details.place).toEqual({ file: "r1/ip-neigh.json", line: 1, column: 9 });
  });

  it("with a device name that the kernel would not take is refused", () => {
    const error = mistake([json("r1/ip-addr.json", [link(2, "a name; too long by far", [])])]);
    expect(error.message).toContain('field "ifname"');
  });

  it("with a connection that cannot be read names the line", () => {
    const files = [...node, { file: "r1/conntrack.txt", text: "tcp 6 10 OPEN src=1.2.3.4\n" }];
    expect(() => loadWorld(files, "dump")).not.toThrow();
  });
});

/** Texts near to what the tools print: real ones with parts taken out, doubled or changed. */
function mangled(text: string): fc.Arbitrary<string> {
  const position = fc.nat({ max: text.length });
  return fc.oneof(
    fc.string(),
    fc.json(),
    position.map((end) => text.slice(0, end)),
    fc
      .tuple(
        position,
        position,
        fc.constantFrom("", "-1", "null", "[]", '"', "9999999999", "\n", "x"),
      )
      .map(([a, b, put]) => text.slice(0, Math.min(a, b)) + put + text.slice(Math.max(a, b))),
  );
}

const samples: readonly (readonly [
  name: string,
  read: (input: InputText) => unknown,
  sample: string,
])[] = [
  [
    "ip addr",
    readLinks,
    JSON.stringify([
      loopback,
      link(2, "eth0", [["10.0.0.1", 24]], {
        linkinfo: { info_kind: "vxlan", info_data: { id: 1, port: 8472, learning: false } },
      }),
    ]),
  ],
  ["bridge link", readPorts, JSON.stringify([{ ifname: "v0", hairpin: true, isolated: false }])],
  [
    "ip route",
    readRoutes,
    JSON.stringify([
      { dst: "default", gateway: "10.0.0.1", dev: "eth0", metric: 100, flags: ["onlink"] },
      {
        dst: "10.1.0.0/16",
        nexthops: [{ gateway: "10.0.0.2", dev: "eth0", weight: 1, flags: [] }],
      },
    ]),
  ],
  [
    "ip rule",
    readPolicyRules,
    JSON.stringify([{ priority: 5, src: "10.0.0.0", srclen: 8, fwmark: "0x1", table: "7" }]),
  ],
  [
    "ip neigh",
    readNeighbours,
    JSON.stringify([
      { dst: "10.0.0.2", dev: "eth0", lladdr: "02:00:00:00:00:01", state: ["STALE"] },
    ]),
  ],
  [
    "bridge fdb",
    readFdb,
    JSON.stringify([{ mac: "02:00:00:00:00:01", ifname: "v0", master: "br0", state: "" }]),
  ],
  [
    "ip -6 addr",
    readLinks,
    JSON.stringify([
      {
        ...link(2, "eth0", []),
        addr_info: [
          { family: "inet6", local: "2001:db8::1", prefixlen: 64, scope: "global", metric: 7 },
          { family: "inet6", local: "fe80::1", prefixlen: 64, scope: "link", nodad: true },
        ],
      },
    ]),
  ],
  [
    "ip -6 route",
    readRoutes6,
    JSON.stringify([
      { dst: "default", gateway: "fe80::1", dev: "eth0", metric: 1024, pref: "high" },
      { dst: "2001:db8::/32", from: "fd00::/8", dev: "eth0", metrics: [{ hoplimit: 9 }] },
    ]),
  ],
  [
    "ip -6 neigh",
    readNeighbours6,
    JSON.stringify([
      { dst: "fe80::9", dev: "eth0", lladdr: "02:00:00:00:00:09", router: null, state: ["STALE"] },
    ]),
  ],
  [
    "bridge mdb",
    readGroups,
    JSON.stringify([
      { mdb: [{ dev: "br0", port: "v0", grp: "239.1.2.3", state: "temp" }], router: {} },
    ]),
  ],
  ["ip netns", readNetnsNames, JSON.stringify([{ nsid: 0, name: "a" }])],
  [
    "sysctl",
    readSysctls,
    "kernel.x = 1\nnet.ipv4.ip_forward = 1\nnet.ipv4.conf.eth0/5.rp_filter = 2\n",
  ],
  ["ss", readSockets, "tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nudp UNCONN 0 0 [::]:53 [::]:*\n"],
  ["iptables-save", readRules, openRules],
];

describe("readers of dumps", () => {
  it.each(samples)("%s reads its own text", (_, read, sample) => {
    expect(() => read({ file: "x", text: sample })).not.toThrow();
  });

  it.each(samples)("%s throws nothing but placed errors, whatever comes", (_, read, sample) => {
    fc.assert(
      fc.property(mangled(sample), (text) => {
        try {
          read({ file: "x", text });
        } catch (error) {
          if (!(error instanceof UserError || error instanceof UserErrors)) throw error;
          const [first] = error instanceof UserErrors ? error.errors : [error];
          expect(first?.details.place?.file).toBe("x");
        }
      }),
      { numRuns: 300 },
    );
  });

  it("a whole dump with one mangled file loads or names what is wrong", () => {
    const files: readonly DumpFile[] = [
      ...node,
      json("r1/ip-route.json", [{ dst: "default", gateway: "192.0.2.1", dev: "eth0", flags: [] }]),
      { file: "r1/sysctl.txt", text: "net.ipv4.ip_forward = 1\n" },
    ];
    const one = fc
      .nat({ max: files.length - 1 })
      .chain((index) => mangled(files[index]?.text ?? "").map((text) => ({ index, text })));
    fc.assert(
      fc.property(one, ({ index, text }) => {
        try {
          loadWorld(
            files.map((file, at) => (at === index ? { ...file, text } : file)),
            "dump",
          );
        } catch (error) {
          if (!(error instanceof UserError || error instanceof UserErrors)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("hopwise collect", () => {
  it("prints a script that asks for no Secret and writes nothing but its own files", () => {
    const script = collectScript({ nodes: ["worker-1"] });
    const lines = script.split("\n").filter((line) => !line.trimStart().startsWith("#"));
    const commands = lines.join("\n");
    expect(commands).not.toMatch(/kubectl get [^\n]*secret/i);
    expect(commands).not.toMatch(/kubectl (apply|delete|edit|patch|exec|cp|create|replace)\b/);
    expect(commands).not.toMatch(
      /\b(iptables|ip6tables)(-nft|-legacy)? -|-restore|sysctl -w|ip link (set|add|del)/,
    );
    expect(commands).toContain('names="worker-1"');
  });

  it("refuses a name that no node has, so that none reaches the shell", () => {
    expect(() => collectScript({ nodes: ["a; reboot"] })).toThrow(/not the name of a node/);
    expect(() => collectScript({ nodes: ["$(id)"] })).toThrow(UserError);
  });
});
