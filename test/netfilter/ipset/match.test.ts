import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { nfHook } from "../../../src/core/hooks.js";
import { newSkb } from "../../../src/core/simulation.js";
import type { TraceEvent } from "../../../src/core/trace.js";
import { later, seconds } from "../../../src/sim/time.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { type Frame, NO_BYTES } from "../../../src/wire/frame.js";
import { ETH_P_IP } from "../../../src/wire/ethernet.js";
import { formatIpv4, ipv4, MAC_ZERO, parseIpv4 } from "../../../src/wire/ip.js";

interface World {
  readonly ipset: (line: string, stdin?: string) => string;
  readonly save: () => string;
  readonly rules: (...lines: readonly string[]) => string;
  /** Sends a UDP packet through INPUT; gives the packets counted by each rule. */
  readonly send: (source: string, port?: number) => readonly number[];
  readonly wait: (time: number) => void;
  readonly events: TraceEvent[];
}

function world(): World {
  const sim = createLinux({ seed: 7 });
  const ns = sim.createNamespace("n");
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  const run = (argv: readonly string[], stdin = ""): string => {
    const { stdout, stderr } = runTool(sim, { ns: "n", argv, stdin });
    return stdout + stderr;
  };
  return {
    events,
    ipset: (line, stdin) => run(["ipset", ...line.split(" ")], stdin),
    save: () => run(["iptables-save"]),
    rules: (...lines) => run(["iptables-restore"], `*filter\n${lines.join("\n")}\nCOMMIT\n`),
    wait: (time) => sim.queue.advanceTo(later(sim.queue.now, seconds(time))),
    send(source, port = 53) {
      const skb = newSkb(ns, datagram(source, port), "test");
      nfHook(
        skb,
        { hook: "INPUT", family: "ipv4", ns, in: undefined, out: undefined },
        () => undefined,
      );
      const save = run(["iptables-save", "-c"]);
      return Array.from(save.matchAll(/^\[(\d+):\d+\] -A/gm), ([, packets]) => Number(packets));
    },
  };
}

function datagram(source: string, port: number): Frame {
  const address = parseIpv4(source);
  if (address === undefined) throw new Error(`${source} is no address`);
  return {
    link: { source: MAC_ZERO, destination: MAC_ZERO, etherType: ETH_P_IP },
    network: {
      kind: "ipv4",
      tos: 0,
      id: 0,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: 17,
      source: address,
      destination: ipv4(0x0a00_0202),
      options: NO_BYTES,
    },
    transport: { kind: "udp", sourcePort: 1_000, destinationPort: port },
    payload: NO_BYTES,
  };
}

describe("rules and their sets", () => {
  it("prints back every option of -m set and -j SET", () => {
    const { ipset, rules, save } = world();
    ipset("create s hash:ip,port counters timeout 0");
    const lines = [
      "-A INPUT -m set --match-set s src,dst",
      "-A INPUT -m set ! --match-set s src,dst --return-nomatch ! --update-counters ! --update-subcounters --packets-gt 5 ! --bytes-eq 7",
      "-A INPUT -j SET --add-set s src,dst --exist --timeout 5 --del-set s dst,src",
    ];
    expect(rules(...lines)).toBe("");
    expect(
      save()
        .split("\n")
        .filter((line) => line.startsWith("-A")),
    ).toEqual(lines);
    expect(ipset("list s -t")).toContain("References: 4\n");
  });

  it("refuses a set that does not exist, and one of the other family", () => {
    const { ipset, rules } = world();
    expect(rules("-A INPUT -m set --match-set nosuch src")).toContain(
      "Set nosuch doesn't exist.\n",
    );
    ipset("create v6 hash:ip family inet6");
    expect(rules("-A INPUT -m set --match-set v6 src")).toContain(
      "The protocol family of set v6 is IPv6, which is not applicable.\n",
    );
  });

  it("keep what they use, and let it go with the rule", () => {
    const { ipset, rules } = world();
    ipset("create s hash:ip");
    rules("-A INPUT -m set --match-set s src");
    expect(ipset("destroy s")).toContain("it is in use by a kernel component");
    expect(ipset("rename s t")).toContain("it is in use by another system");
    rules("-A INPUT -j ACCEPT");
    expect(ipset("destroy s")).toBe("");
  });

  it("follow the name when sets are swapped", () => {
    const { ipset, rules, send } = world();
    ipset("create a hash:ip");
    ipset("create b hash:ip");
    ipset("add b 10.0.0.1");
    rules("-A INPUT -m set --match-set a src");
    expect(send("10.0.0.1")).toEqual([0]);
    ipset("swap a b");
    expect(send("10.0.0.1")).toEqual([1]);
    expect(ipset("list a -t")).toContain("References: 1\n");
  });

  it("let the longest net decide, also when it says no", () => {
    const { ipset, rules, send, events } = world();
    ipset("create s hash:net");
    ipset("add s 10.0.0.0/8");
    ipset("add s 10.9.0.0/24 nomatch");
    rules(
      "-A INPUT -m set --match-set s src",
      "-A INPUT -m set ! --match-set s src",
      "-A INPUT -m set --match-set s src --return-nomatch",
    );
    expect(send("10.9.0.1")).toEqual([0, 1, 1]);
    expect(send("10.8.0.1")).toEqual([1, 1, 1]);
    expect(send("11.0.0.1")).toEqual([1, 2, 1]);
    const failed = events.flatMap((event) =>
      event.kind === "rule" && !event.matched ? [event.failed] : [],
    );
    expect(failed[0]).toBe("packet's src is a nomatch of set s");
    expect(failed).toContain("packet's src is not in set s");
  });

  it("count a packet in a set even under a negation, unless told not to", () => {
    const { ipset, rules, send } = world();
    ipset("create s hash:ip counters");
    ipset("add s 10.0.0.1");
    rules(
      "-A INPUT -m set ! --match-set s src",
      "-A INPUT -m set --match-set s src ! --update-counters --packets-eq 1",
    );
    expect(send("10.0.0.1")).toEqual([0, 1]);
    expect(ipset("save s")).toContain("add s 10.0.0.1 packets 1 bytes 28\n");
    expect(send("10.0.0.1")).toEqual([0, 1]);
  });

  it("never match with fewer directions than the set has dimensions, and ignore more", () => {
    const { ipset, rules, send } = world();
    ipset("create s hash:ip,port");
    ipset("add s 10.0.0.1,udp:53");
    rules(
      "-A INPUT -m set --match-set s src",
      "-A INPUT -m set ! --match-set s src",
      "-A INPUT -m set --match-set s src,dst,src",
    );
    expect(send("10.0.0.1")).toEqual([0, 1, 1]);
  });

  it("lose an element that a rule added when its time is over", () => {
    const { ipset, rules, send, wait } = world();
    ipset("create s hash:ip timeout 10");
    rules("-A INPUT -m set --match-set s src", "-A INPUT -j SET --add-set s src");
    expect(send("10.0.0.1")).toEqual([0, 1]);
    wait(9);
    expect(send("10.0.0.1")).toEqual([1, 2]);
    wait(1.1);
    expect(ipset("list s")).toMatch(/Number of entries: 0\nMembers:\n$/);
    expect(send("10.0.0.1")).toEqual([1, 3]);
  });

  it("ask the members of a list in order, those that fit", () => {
    const { ipset, rules, send } = world();
    ipset("create p hash:ip,port");
    ipset("create n hash:net");
    ipset("create l list:set counters");
    ipset("add n 10.0.0.0/24");
    ipset("add l p");
    ipset("add l n");
    rules("-A INPUT -m set --match-set l src");
    expect(send("10.0.0.1")).toEqual([1]);
    expect(ipset("save l")).toContain("add l p packets 0 bytes 0\nadd l n packets 1 bytes 28\n");
  });
});

/** The obvious way: look at every net, take the longest that holds the address. */
function oracle(nets: ReadonlyMap<string, boolean>, address: number): boolean {
  let best = -1;
  let says = false;
  for (const [net, nomatch] of nets) {
    const [text = "", length = "32"] = net.split("/");
    const size = 2 ** (32 - Number(length));
    const base = Math.floor(Number(parseIpv4(text)) / size);
    if (Math.floor(address / size) !== base || Number(length) <= best) continue;
    best = Number(length);
    says = !nomatch;
  }
  return says;
}

describe("the lookup of nets", () => {
  it("agrees with looking at every net", () => {
    const net = fc.tuple(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 14, max: 32 }),
      fc.boolean(),
    );
    const property = fc.property(
      fc.array(net, { maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 20 }),
      (nets, hosts) => {
        const { ipset } = world();
        ipset("create s hash:net hashsize 64 bucketsize 2");
        const known = new Map<string, boolean>();
        for (const [host, length, nomatch] of nets) {
          const size = 2 ** (32 - length);
          const base = ipv4(0x0a00_0000 + Math.floor(host / size) * size);
          known.set(`${formatIpv4(base)}/${length}`, nomatch);
        }
        const lines = [...known].map(
          ([text, nomatch]) => `add s ${text}${nomatch ? " nomatch" : ""}`,
        );
        ipset("restore", `${lines.join("\n")}\n`);
        for (const host of hosts) {
          const address = 0x0a00_0000 + host;
          const answer = ipset(`test s ${formatIpv4(ipv4(address))}`);
          expect(answer.startsWith("Warning")).toBe(oracle(known, address));
        }
      },
    );
    fc.assert(property, { numRuns: 60 });
  });
});

describe("a restore of anything", () => {
  it("ends with an exit code, or an error that names its place", () => {
    const word = fc.constantFrom(
      ..."create add del test swap rename flush destroy list save s t hash:ip hash:net hash:ip,port hash:net,iface bitmap:port list:set hash:mac hash:net,net".split(
        " ",
      ),
      ..."10.0.0.1 10.0.0.0/8 10.0.0.1-10.0.0.9 0.0.0.0/1 fd00::1 1,2,3 , : tcp:80-90 udp:x icmp:8/0 eth0 02:00:00:00:00:01 timeout counters comment skbinfo nomatch".split(
        " ",
      ),
      ...'range 0-65535 netmask family inet6 size maxelem 4294967295 initval 0x1 before after -exist -o xml -q " -n -! --'.split(
        " ",
      ),
    );
    const line = fc.oneof(
      fc.array(word, { maxLength: 7 }).map((words) => words.join(" ")),
      fc.string({ maxLength: 60 }),
    );
    const property = fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.boolean(),
      (lines, named) => {
        const sim = createLinux({ seed: 1 });
        sim.createNamespace("n");
        const stdin = lines.join("\n");
        try {
          const { code } = runTool(sim, {
            ns: "n",
            argv: ["ipset", "restore"],
            stdin,
            ...(named ? { stdinName: "sets.ipset" } : {}),
          });
          expect([0, 1, 2]).toContain(code);
        } catch (error) {
          expect(error instanceof UserError || error instanceof UserErrors).toBe(true);
        }
      },
    );
    fc.assert(property, { numRuns: 400 });
  });

  it("stops at a range without end", () => {
    const { ipset } = world();
    ipset("create s hash:ip,port maxelem 4294967295");
    expect(ipset("-exist del s 0.0.0.1-255.255.255.254,tcp:0-65535")).toBe(
      "ipset v7.17: more than 4194304 elements in one request (a limit of hopwise)\n",
    );
  });

  it("points at the word that is wrong", () => {
    const sim = createLinux({ seed: 1 });
    sim.createNamespace("n");
    const stdin = "create s hash:nett\n";
    expect(() =>
      runTool(sim, { ns: "n", argv: ["ipset", "restore"], stdin, stdinName: "sets.ipset" }),
    ).toThrow(
      expect.objectContaining({
        message: "Syntax error: typename 'hash:nett' is unknown",
        details: {
          place: { file: "sets.ipset", line: 1, column: 10 },
          sourceLine: "create s hash:nett",
          length: 9,
          help: 'did you mean "hash:net"?',
        },
      }),
    );
  });
});
