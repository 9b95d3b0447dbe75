import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { HookState, Verdict } from "../../../src/core/hooks.js";
import type { NetworkNamespace } from "../../../src/core/namespace.js";
import { newSkb } from "../../../src/core/simulation.js";
import type { SkBuff } from "../../../src/core/skbuff.js";
import { CompiledChain, CompiledChains } from "../../../src/netfilter/iptables/compiled-chain.js";
import { parseRestore } from "../../../src/netfilter/iptables/restore.js";
import type { Ruleset } from "../../../src/netfilter/iptables/ruleset.js";
import { formatSave } from "../../../src/netfilter/iptables/save.js";
import { environmentOf } from "../../../src/netfilter/iptables/set-use.js";
import { walkTable } from "../../../src/netfilter/iptables/walk.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { type Frame, NO_BYTES } from "../../../src/wire/frame.js";
import { build } from "../../tools/tool-fixtures.js";
import { icmp, packet, tcp, udp } from "../rig.js";

/** A namespace with devices, a set, and one ruleset; packets are shown to its mangle table by hand. */
class Engine {
  readonly ns: NetworkNamespace;
  readonly ruleset: Ruleset;
  readonly compiled: CompiledChains;

  constructor(text: string, indexed: boolean) {
    const sim = createLinux({ seed: 1 });
    build(
      sim,
      `ip netns add n
      ip link add eth0 netns n address 02:00:00:00:00:0a type veth peer name p0 netns n address 02:00:00:00:00:01
      ip link add eth1 netns n address 02:00:00:00:00:0b type veth peer name p1 netns n address 02:00:00:00:00:02
      n: ip addr add 10.0.0.1/24 dev eth0`,
    );
    const sets = runTool(sim, {
      ns: "n",
      argv: ["ipset", "restore"],
      stdin: "create s hash:ip counters\nadd s 10.0.0.1\nadd s 10.0.1.3\n",
    });
    if (sets.code !== 0) throw new Error(sets.stderr);
    const ns = sim.namespaces.get("n");
    if (ns === undefined) throw new Error("no namespace");
    this.ns = ns;
    this.ruleset = parseRestore(text, { file: "r", environment: environmentOf(ns) });
    this.compiled = new CompiledChains({ indexed });
  }

  /** What becomes of the packet, and what it is then. */
  show(frame: Frame, devices: readonly [string, string]): { verdict: Verdict; skb: SkBuff } {
    const { ns, ruleset } = this;
    const table = ruleset.tables.get("mangle");
    if (table === undefined) throw new Error("no table");
    const skb = newSkb(ns, frame, "test");
    const [from, to] = devices;
    const state: HookState = {
      hook: "FORWARD",
      family: "ipv4",
      ns,
      in: from === "" ? undefined : ns.device(from),
      out: to === "" ? undefined : ns.device(to),
    };
    return { verdict: walkTable(this, table, skb, state), skb };
  }

  /** Rules, chains and their counters. */
  saved(): string {
    return formatSave(this.ruleset, { counters: true });
  }
}

const pick = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const addresses = ["10.0.0.1", "10.0.0.2", "10.0.1.3", "10.1.0.4", "192.0.2.5"] as const;
const ports = ["80", "443", "53", "8080"] as const;

const nothing = fc.constant("");
const not = fc.oneof({ weight: 4, arbitrary: nothing }, { weight: 1, arbitrary: pick("! ") });
const block = fc.oneof(
  { weight: 4, arbitrary: pick(...addresses).map((address) => `${address}/32`) },
  pick("10.0.0.0/24", "10.0.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.1/255.0.0.255"),
);
const side = (letter: string): fc.Arbitrary<string> =>
  fc.oneof(
    nothing,
    fc
      .tuple(not, block)
      .map(([invert, text]) => (text === "0.0.0.0/0" ? "" : `${invert}-${letter} ${text} `)),
  );
const device = (letter: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: nothing },
    fc
      .tuple(not, pick("eth0", "eth1", "eth+", "p0", "lo"))
      .map(([invert, name]) => `${invert}-${letter} ${name} `),
  );

/** Matches that remember, draw lots, count, look at marks; they may stand before or after the test of ports. */
const other = fc.oneof(
  { weight: 6, arbitrary: nothing },
  pick(
    "-m comment --comment x ",
    "-m mark --mark 0x1/0x1 ",
    "-m statistic --mode nth --every 3 --packet 0 ",
    "-m statistic --mode random --probability 0.5 ",
    "-m limit --limit 1/hour --limit-burst 3 ",
    "-m quota --quota 200 ",
    "-m recent --set --name r ",
    "-m recent --rcheck --name r ",
    "-m set --match-set s src ",
    "-m set ! --match-set s dst ",
    "-m addrtype --dst-type LOCAL ",
    "-m conntrack --ctstate INVALID ",
    "-m length --length 0:100 ",
    "-m geoip --source-country DE ",
  ),
);

const portTest = (name: string): fc.Arbitrary<string> =>
  fc.oneof(
    nothing,
    fc.tuple(not, pick(...ports)).map(([invert, port]) => `-m ${name} ${invert}--dport ${port} `),
    pick(
      `-m ${name} --dport 50:60 `,
      `-m ${name} --dport 1024:65535 `,
      `-m ${name} --sport 1000 `,
      `-m ${name} --sport 1000 -m comment --comment y -m ${name} --dport 80 `,
      "-m multiport --dports 80,443,8000:8003 ",
      "-m multiport ! --dports 80,443 ",
      "-m multiport --ports 53,1000 ",
    ),
  );
const transport = fc.oneof(
  nothing,
  fc.tuple(other, portTest("tcp")).map(([before, test]) => `-p tcp ${before}${test}`),
  fc.tuple(other, portTest("udp")).map(([before, test]) => `-p udp ${before}${test}`),
  pick("-p icmp ", "! -p tcp ", "-p sctp -m multiport --dports 80 ", "-p 47 ", "-f "),
);
const target = fc.oneof(
  { weight: 6, arbitrary: nothing },
  pick(
    "-j A",
    "-j B",
    "-g B",
    "-j RETURN",
    "-j ACCEPT",
    "-j DROP",
    "-j MARK --set-xmark 0x1/0x1",
    "-j MARK --set-xmark 0x0/0x1",
    "-j TTL --ttl-dec 1",
    "-j TOS --set-tos 0x10/0xff",
  ),
);

const rule = fc
  .tuple(side("s"), side("d"), device("i"), device("o"), transport, other, target)
  .map((parts) => parts.join(""));

/** A chain long enough to be looked up. It may jump only to chains behind it. */
const chain = (name: string, forbidden: RegExp): fc.Arbitrary<readonly string[]> =>
  fc
    .array(rule, { minLength: 16, maxLength: 40 })
    .map((rules) =>
      rules.map(
        (text) => `-A ${name} ${forbidden.test(text) ? text.replace(/-[jg] [AB]$/, "") : text}`,
      ),
    );

const rulesets = fc
  .tuple(chain("FORWARD", /^$/), chain("A", /-[jg] A$/), chain("B", /-[jg] [AB]$/))
  .map((chains) =>
    ["*mangle", ":A - [0:0]", ":B - [0:0]", ...chains.flat(), "COMMIT", ""].join("\n"),
  );

const frames = fc
  .tuple(
    pick(...addresses),
    pick(...addresses),
    pick("1000", "53"),
    pick(...ports, "8002", "55"),
    pick("tcp", "udp", "icmp", "gre", "sctp", "cut tcp", "cut udp", "fragment", "second fragment"),
  )
  .map(([from, to, sport, dport, kind]): Frame => {
    const [source, destination] = [`${from}:${sport}`, `${to}:${dport}`];
    switch (kind) {
      case "tcp":
        return tcp(source, destination, "S");
      case "udp":
        return udp(source, destination, new Uint8Array(20));
      case "icmp":
        return icmp(from, to, 8, 1);
      case "gre":
        return packet(from, to, 47, undefined, NO_BYTES);
      case "sctp":
        return packet(from, to, 132, undefined, new Uint8Array([0, 53, 0, 80, 0, 0, 0, 0]));
      case "cut tcp":
        return packet(from, to, 6, undefined, new Uint8Array(4));
      case "cut udp":
        return packet(from, to, 17, undefined, new Uint8Array(4));
      default: {
        const offset = kind === "fragment" ? 8 : 1480;
        const whole = packet(from, to, 6, undefined, new Uint8Array(64));
        return whole.network?.kind === "ipv4"
          ? { ...whole, network: { ...whole.network, fragmentOffset: offset } }
          : whole;
      }
    }
  });

const packets = fc.array(
  fc.record({ frame: frames, in: pick("eth0", "eth1", ""), out: pick("eth0", "p0", "") }),
  { minLength: 1, maxLength: 30 },
);

const runs = Number(process.env["HOPWISE_INDEX_RUNS"] ?? 40);

describe("a chain that is looked up", () => {
  it("gives every packet the verdict, and every rule the counters, of a walk from rule to rule", () => {
    fc.assert(
      fc.property(rulesets, packets, (text, sent) => {
        const fast = new Engine(text, true);
        const slow = new Engine(text, false);
        for (const one of sent) {
          const [a, b] = [fast, slow].map((engine) => engine.show(one.frame, [one.in, one.out]));
          expect(a?.verdict).toEqual(b?.verdict);
          expect([a?.skb.mark, a?.skb.frame]).toEqual([b?.skb.mark, b?.skb.frame]);
        }
        expect(fast.saved()).toBe(slow.saved());
      }),
      { numRuns: runs },
    );
  });
});

/** KUBE-SERVICES of so many Services, and a chain of ports. */
function services(count: number): string {
  const numbers = Array.from({ length: count }, (_, n) => n);
  const address = (n: number): string => `10.96.${n >> 8}.${n & 255}`;
  return [
    "*mangle",
    ":KUBE-SERVICES - [0:0]",
    ":KUBE-NODEPORTS - [0:0]",
    "-A FORWARD -j KUBE-SERVICES",
    ...numbers.map(
      (n) =>
        `-A KUBE-SERVICES -d ${address(n)}/32 -p tcp -m comment --comment "web-${n}" -m tcp --dport 80 -j MARK --set-xmark 0x1/0x1`,
    ),
    "-A KUBE-SERVICES -j KUBE-NODEPORTS",
    ...numbers
      .slice(0, 2_000)
      .map(
        (n) =>
          `-A KUBE-NODEPORTS -p tcp -m comment --comment "web-${n}" -m tcp --dport ${30_000 + n} -j MARK --set-xmark 0x2/0x2`,
      ),
    "COMMIT",
    "",
  ].join("\n");
}

it("30,000 Services cost a packet as few tests as 100 do", () => {
  const testsOf = (count: number): number => {
    const engine = new Engine(services(count), true);
    const send = (): SkBuff =>
      engine.show(tcp("10.0.0.1:1000", "10.96.0.77:80", "S"), ["eth0", "eth1"]).skb;
    send();
    const looked = vi.spyOn(CompiledChain.prototype, "rule");
    expect(send().mark).toBe(1);
    const tests = looked.mock.calls.length;
    looked.mockRestore();
    return tests;
  };
  expect(testsOf(30_000)).toBe(testsOf(100));
  expect(testsOf(100)).toBeLessThan(12);
});

it("a restore that changes one chain leaves the other chains' indexes", () => {
  const text = services(100);
  const before = parseRestore(text, { file: "r" });
  const changed = "*mangle\n:KUBE-NODEPORTS - [0:0]\n-A KUBE-NODEPORTS -p udp\nCOMMIT\n";
  const after = parseRestore(changed, { file: "r", base: before, noflush: true });
  const indexOf = (compiled: CompiledChains, ruleset: Ruleset, name: string): unknown => {
    const table = ruleset.tables.get("mangle");
    const chain = table?.chains.get(name);
    if (table === undefined || chain === undefined) throw new Error(`no chain ${name}`);
    return compiled.of(table, chain).index;
  };
  const compiled = new CompiledChains();
  const index = indexOf(compiled, before, "KUBE-SERVICES");
  expect(index).toBeDefined();
  expect(indexOf(compiled, before, "KUBE-NODEPORTS")).toBeDefined();
  const kept = compiled.after(before, after);
  expect(indexOf(kept, after, "KUBE-SERVICES")).toBe(index);
  expect(indexOf(kept, after, "KUBE-NODEPORTS")).toBeUndefined();
});
