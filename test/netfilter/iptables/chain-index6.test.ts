import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HookState, Verdict } from "../../../src/core/hooks.js";
import type { NetworkNamespace } from "../../../src/core/namespace.js";
import { newSkb } from "../../../src/core/simulation.js";
import type { SkBuff } from "../../../src/core/skbuff.js";
import { CompiledChains } from "../../../src/netfilter/iptables/compiled-chain.js";
import { parseRestore } from "../../../src/netfilter/iptables/restore.js";
import type { Ruleset } from "../../../src/netfilter/iptables/ruleset.js";
import { formatSave } from "../../../src/netfilter/iptables/save.js";
import { environmentOf } from "../../../src/netfilter/iptables/set-use.js";
import type { Variant } from "../../../src/netfilter/iptables/tables.js";
import { walkTable } from "../../../src/netfilter/iptables/walk.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { decodeFrame, type Frame } from "../../../src/wire/frame.js";
import { parseIpv6, putIpv6 } from "../../../src/wire/ip.js";
import { build } from "../../tools/tool-fixtures.js";

/** A namespace with devices, a set, and one ruleset; packets are shown to its mangle table by hand. */
class Engine {
  readonly ns: NetworkNamespace;
  readonly ruleset: Ruleset;
  readonly compiled: CompiledChains;

  constructor(text: string, variant: Variant, indexed: boolean) {
    const sim = createLinux({ seed: 1 });
    build(
      sim,
      `ip netns add n
      ip link add eth0 netns n address 02:00:00:00:00:0a type veth peer name p0 netns n address 02:00:00:00:00:01
      ip link add eth1 netns n address 02:00:00:00:00:0b type veth peer name p1 netns n address 02:00:00:00:00:02`,
    );
    const stdin =
      "create s hash:ip family inet6 counters\nadd s 2001:db8::1\nadd s 2001:db8:1::3\n";
    const sets = runTool(sim, { ns: "n", argv: ["ipset", "restore"], stdin });
    if (sets.code !== 0) throw new Error(sets.stderr);
    const ns = sim.namespaces.get("n");
    if (ns === undefined) throw new Error("no namespace");
    this.ns = ns;
    const environment = environmentOf(ns);
    this.ruleset = parseRestore(text, { file: "r", family: "ipv6", variant, environment });
    this.compiled = new CompiledChains({ indexed });
  }

  /** What becomes of the packet, and what it is then. */
  show(frame: Frame, [from, to]: readonly [string, string]): { verdict: Verdict; skb: SkBuff } {
    const { ns, ruleset } = this;
    const table = ruleset.tables.get("mangle");
    if (table === undefined) throw new Error("no table");
    const skb = newSkb(ns, frame, "test");
    const state: HookState = {
      hook: "FORWARD",
      family: "ipv6",
      ns,
      in: from === "" ? undefined : ns.device(from),
      out: to === "" ? undefined : ns.device(to),
    };
    return { verdict: walkTable(this, table, skb, state), skb };
  }

  saved(): string {
    return formatSave(this.ruleset, { counters: true });
  }
}

const pick = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const addresses = ["2001:db8::1", "2001:db8::2", "2001:db8:1::3", "fd00::4", "::ffff:1.2.3.4"];
const ports = ["80", "443", "53", "8080"];

const nothing = fc.constant("");
const not = fc.oneof({ weight: 4, arbitrary: nothing }, { weight: 1, arbitrary: pick("! ") });
const block = fc.oneof(
  { weight: 4, arbitrary: pick(...addresses).map((address) => `${address}/128`) },
  pick("2001:db8::/64", "2001:db8::/32", "::1/::ff", "fd00::/8"),
);
const side = (letter: string): fc.Arbitrary<string> =>
  fc.oneof(
    nothing,
    fc.tuple(not, block).map(([invert, text]) => `${invert}-${letter} ${text} `),
  );
const device = (letter: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: nothing },
    fc
      .tuple(not, pick("eth0", "eth1", "eth+", "p0", "lo"))
      .map(([invert, name]) => `${invert}-${letter} ${name} `),
  );
const other = fc.oneof(
  { weight: 6, arbitrary: nothing },
  pick(
    "-m mark --mark 0x1/0x1 ",
    "-m statistic --mode nth --every 3 --packet 0 ",
    "-m limit --limit 1/hour --limit-burst 3 ",
    "-m recent --set --name r ",
    "-m recent --rcheck --name r ",
    "-m set --match-set s src ",
    "-m hl --hl-lt 64 ",
    "-m frag --fragmore ",
    "-m dst --dst-opts 1 ",
    "-m ah --ahspi 1:9 ",
    "-m ipv6header --header ipv6-opts --soft ",
    "-m rt --rt-type 0 ",
    "-m length --length 0:100 ",
  ),
);
const portTest = (name: string): fc.Arbitrary<string> =>
  fc.oneof(
    nothing,
    fc.tuple(not, pick(...ports)).map(([invert, port]) => `-m ${name} ${invert}--dport ${port} `),
    pick(
      `-m ${name} --dport 50:60 `,
      `-m ${name} --sport 1000 `,
      "-m multiport --dports 80,443,8000:8003 ",
      "-m multiport ! --dports 80,443 ",
    ),
  );
const transport = fc.oneof(
  nothing,
  fc.tuple(other, portTest("tcp")).map(([before, test]) => `-p tcp ${before}${test}`),
  fc.tuple(other, portTest("udp")).map(([before, test]) => `-p udp ${before}${test}`),
  pick(
    "-p ipv6-icmp ",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 128 ",
    "! -p tcp ",
    "-p sctp -m multiport --dports 80 ",
    "-p ah ",
    "-p esp -m esp --espspi 5 ",
  ),
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
    "-j HL --hl-dec 1",
    "-j TOS --set-tos 0x10/0xff",
  ),
);
const rule = fc
  .tuple(side("s"), side("d"), device("i"), device("o"), transport, other, target)
  .map((parts) => parts.join(""));
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

/** Headers that may stand before a transport, whole or damaged, by the type that the one before names. */
const OPTIONS = [0, 1, 4, 0, 0, 0, 0];
const extensions = fc.array(
  pick<readonly [type: number, rest: readonly number[]]>(
    [60, OPTIONS],
    [60, [9, 1, 4, 0, 0, 0, 0]],
    [43, [0, 0, 0, 0, 0, 0, 0]],
    [43, [0, 4, 0, 0, 0, 0, 0]],
    [51, [1, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1]],
    [44, [0, 0, 0, 0, 0, 0, 7]],
    [44, [0, 0, 1, 0, 0, 0, 7]],
    [44, [0, 0, 64, 0, 0, 0, 7]],
    [60, []],
  ),
  { maxLength: 3 },
);
const transports = pick<readonly [protocol: number, bytes: readonly number[]]>(
  [6, [3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 16, 0, 0, 0, 0, 0]],
  [6, [0, 53, 1, 187, 0, 0]],
  [17, [3, 232, 0, 53, 0, 12, 1, 1, 9, 9, 9, 9]],
  [17, [0, 53, 31, 144]],
  [58, [128, 0, 1, 1, 0, 0, 0, 1]],
  [58, [128]],
  [132, [0, 53, 0, 80, 0, 0, 0, 0]],
  [50, [0, 0, 0, 5, 0, 0, 0, 1]],
  [59, []],
);

const frames = fc
  .tuple(pick(...addresses), pick(...addresses), extensions, transports, pick(1, 64))
  .map(([from, to, chained, [protocol, bytes], hopLimit]): Frame => {
    const types = [...chained.map(([type]) => type), protocol];
    const payload = [...chained.flatMap(([, rest], at) => [types[at + 1] ?? 0, ...rest]), ...bytes];
    const packet = new Uint8Array(54 + payload.length);
    packet.set([0x86, 0xdd, 0x60], 12);
    packet.set([payload.length >> 8, payload.length & 255, types[0] ?? 0, hopLimit], 18);
    for (const [at, text] of [
      [22, from],
      [38, to],
    ] as const) {
      const address = parseIpv6(text);
      if (address !== undefined) putIpv6(packet, at, address);
    }
    packet.set(payload, 54);
    const decoded = decodeFrame(packet);
    if (!decoded.ok) throw new Error(decoded.reason);
    return decoded.value;
  });

const packets = fc.array(
  fc.record({ frame: frames, in: pick("eth0", "eth1", ""), out: pick("eth0", "p0", "") }),
  { minLength: 1, maxLength: 30 },
);

const runs = Number(process.env["HOPWISE_INDEX_RUNS"] ?? 15);

describe("a chain of ip6tables that is looked up", () => {
  it.each(["nft", "legacy"] as const)(
    "gives every packet the verdict, and every rule the counters, of a walk from rule to rule: %s",
    (variant) => {
      fc.assert(
        fc.property(rulesets, packets, (text, sent) => {
          const fast = new Engine(text, variant, true);
          const slow = new Engine(text, variant, false);
          for (const one of sent) {
            const [a, b] = [fast, slow].map((engine) => engine.show(one.frame, [one.in, one.out]));
            expect(a?.verdict).toEqual(b?.verdict);
            expect([a?.skb.mark, a?.skb.frame]).toEqual([b?.skb.mark, b?.skb.frame]);
          }
          expect(fast.saved()).toBe(slow.saved());
        }),
        { numRuns: runs },
      );
    },
  );
});
