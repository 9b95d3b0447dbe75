import { describe, expect, test } from "vitest";
import { createLinux } from "../../src/tools/stack.js";
import type { ToolResult } from "../../src/tools/command.js";
import { runTool } from "../../src/tools/index.js";
import { conntrack } from "../../src/netfilter/conntrack/table.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import { passes, tcp, udp } from "../netfilter/rig.js";
import type { Frame } from "../../src/wire/frame.js";

/** Words and lines were recorded from nfct 1.4.7 (taken from its package, not installed) on Linux 6.18. */
function world(): Simulation {
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("node");
  return sim;
}

function run(sim: Simulation, line: string): ToolResult {
  return runTool(sim, { ns: "node", argv: line.split(" ") });
}

function forward(sim: Simulation, frame: Frame): void {
  const ns = sim.namespaces.get("node");
  if (ns === undefined) throw new Error("no node");
  const skb = newSkb(ns, frame, "test");
  for (const hook of ["PREROUTING", "FORWARD", "POSTROUTING"] as const)
    if (!passes(skb, { hook, family: "ipv4", ns, in: undefined, out: undefined })) return;
}

const TP1 = `.tp1 = {
	.l3proto = 2,
	.l4proto = 6,
	.policy = {
		.SYN_SENT = 120,
		.SYN_RECV = 60,
		.ESTABLISHED = 100,
		.FIN_WAIT = 120,
		.CLOSE_WAIT = 60,
		.LAST_ACK = 30,
		.TIME_WAIT = 120,
		.CLOSE = 5,
		.SYN_SENT2 = 120,
		.RETRANS = 300,
		.UNACKNOWLEDGED = 300,
	},
};
`;

describe("nfct", () => {
  test("adds, lists, gets and deletes policies", () => {
    const sim = world();
    expect(run(sim, "nfct list timeout").stdout).toBe("");
    expect(run(sim, "nfct add timeout tp1 inet tcp established 100 close 5").code).toBe(0);
    expect(run(sim, "nfct get timeout tp1").stdout).toBe(TP1);
    run(sim, "nfct timeout add tp2 inet udp unreplied 7 replied 70");
    run(sim, "nfct add timeout tp4 inet6 generic timeout 9");
    expect(run(sim, "nfct list timeout").stdout).toBe(
      `${TP1}.tp2 = {\n\t.l3proto = 2,\n\t.l4proto = 17,\n\t.policy = {\n\t\t.UNREPLIED = 7,\n\t\t.REPLIED = 70,\n\t},\n};\n.tp4 = {\n\t.l3proto = 10,\n\t.l4proto = 255,\n\t.policy = {\n\t\t.TIMEOUT = 9,\n\t},\n};\n`,
    );
    expect(run(sim, "nfct delete timeout tp1").code).toBe(0);
    expect(run(sim, "nfct get timeout tp1").stderr).toBe(
      "nfct v1.4.7: netlink error: No such file or directory\n",
    );
  });

  test("tells and sets the namespace's own times", () => {
    const sim = world();
    run(sim, "nfct default-set timeout inet udp unreplied 33");
    expect(run(sim, "nfct default-get timeout inet udp").stdout).toBe(
      "\t.l3proto = 2,\n\t.l4proto = 17,\n\t.policy = {\n\t\t.UNREPLIED = 33,\n\t\t.REPLIED = 120,\n\t},\n};\n",
    );
    expect(run(sim, "sysctl net.netfilter.nf_conntrack_udp_timeout").stdout).toBe(
      "net.netfilter.nf_conntrack_udp_timeout = 33\n",
    );
  });

  test.each([
    ["add timeout tp1 inet tcp established 9", "netlink error: Device or resource busy"],
    ["add timeout tpc inet tcp foo 5", "Wrong state name: `foo' for protocol `tcp'"],
    ["add timeout tpc inet tcp", "netlink error: Invalid argument"],
    ["add timeout tpc ipx tcp established 5", "unknown layer 3 protocol"],
    ["add timeout tpc inet foo established 5", "unknown layer 4 protocol"],
    ["add timeout tpc inet dccp open 5", "netlink error: Operation not supported"],
    ["add timeout tpc inet tcp established", "missing value for this timeout"],
    [
      "add timeout tpc inet",
      "missing parameters\nsyntax: nfct add timeout name family protocol state1 timeout1 ...",
    ],
    ["delete timeout nope", "netlink error: No such file or directory"],
    ["get timeout", "missing timeout policy name"],
    ["list timeout x", "too many arguments"],
    ["foo timeout", "Unknown subsystem: foo\nUsage: nfct command subsystem [parameters]..."],
  ])("%s is refused in the tool's words", (line, words) => {
    const sim = world();
    run(sim, "nfct add timeout tp1 inet tcp established 100");
    expect(run(sim, `nfct ${line}`)).toEqual({
      code: 1,
      stdout: "",
      stderr: `nfct v1.4.7: ${words}\n`,
    });
  });
});

describe("-j CT --timeout", () => {
  function ruled(): Simulation {
    const sim = world();
    run(sim, "nfct add timeout t inet tcp syn_sent 11");
    run(sim, "nfct add timeout u inet udp unreplied 7 replied 70");
    run(sim, "iptables -t raw -A PREROUTING -p udp -j CT --timeout u");
    run(sim, "iptables -t raw -A PREROUTING -p tcp -j CT --timeout t");
    return sim;
  }

  test("gives new connections the policy's times", () => {
    const sim = ruled();
    forward(sim, udp("10.0.1.2:4000", "10.0.2.2:53"));
    forward(sim, tcp("10.0.1.2:4001", "10.0.2.2:80", "S", { seq: 1 }));
    const lines = run(sim, "conntrack -L").stdout.split("\n");
    expect(lines[0]).toMatch(/^udp {6}17 7 /);
    expect(lines[1]).toMatch(/^tcp {6}6 11 SYN_SENT /);
  });

  test("a policy in use stays; without its rule it goes, and its connections have the usual times", () => {
    const sim = ruled();
    forward(sim, udp("10.0.1.2:4000", "10.0.2.2:53"));
    expect(run(sim, "nfct delete timeout u").stderr).toContain("Device or resource busy");
    run(sim, "nfct flush timeout");
    expect(run(sim, "nfct list timeout").stdout).toContain(".u = {");
    run(sim, "iptables -t raw -D PREROUTING -p udp -j CT --timeout u");
    run(sim, "nfct flush timeout");
    expect(run(sim, "nfct list timeout").stdout).not.toContain(".u = {");
    forward(sim, udp("10.0.1.2:4000", "10.0.2.2:53"));
    expect(run(sim, "conntrack -L").stdout).toMatch(/^udp {6}17 30 /);
  });

  test.each([
    ["-p udp -j CT --timeout t", "Invalid argument"],
    ["-j CT --timeout t", "Invalid argument"],
    ["-p 50 -j CT --timeout t", "Invalid argument"],
    ["-p tcp -j CT --timeout nope", "No such file or directory"],
  ])("%s is refused by the kernel", (rule, words) => {
    const result = run(ruled(), `iptables -t raw -A PREROUTING ${rule}`);
    expect(result).toMatchObject({ code: 4 });
    expect(result.stderr).toContain(`RULE_APPEND failed (${words}): rule in chain PREROUTING`);
  });
});

describe("-j CT --ctevents", () => {
  /** What is told of one UDP packet that is marked, of one SYN, and of their ends; as recorded on Linux 6.18. */
  function told(listensFirst: boolean, events: string): readonly string[] {
    const sim = world();
    if (listensFirst) run(sim, "conntrack -E");
    run(sim, `iptables -t raw -A PREROUTING -j CT --ctevents ${events}`);
    run(sim, "iptables -t mangle -A FORWARD -p udp -j CONNMARK --set-mark 5");
    run(sim, "conntrack -E");
    forward(sim, udp("10.0.1.2:4000", "10.0.2.2:53"));
    forward(sim, tcp("10.0.1.2:4001", "10.0.2.2:80", "S", { seq: 1 }));
    run(sim, "conntrack -D");
    const lines = run(sim, "conntrack -E").stdout.trimEnd().split("\n");
    return lines.map((line) => /\S+ \w+/.exec(line)?.[0] ?? "");
  }

  test("tells an event when one thing of it was asked for", () => {
    expect(told(true, "mark")).toEqual(["[NEW] udp"]);
    expect(told(true, "destroy,assured")).toEqual(["[DESTROY] udp", "[DESTROY] tcp"]);
  });

  test("is forgotten by the kernel when nobody listened as the rule was added", () => {
    expect(told(false, "mark")).toEqual([
      "[NEW] udp",
      "[NEW] tcp",
      "[DESTROY] udp",
      "[DESTROY] tcp",
    ]);
  });

  test("with nf_conntrack_events 2 a connection from before the listener is not told of, with 1 it is", () => {
    for (const [events, lines] of [
      ["2", 0],
      ["1", 1],
    ] as const) {
      const sim = world();
      run(sim, `sysctl -w net.netfilter.nf_conntrack_events=${events}`);
      run(sim, "iptables -A FORWARD -m conntrack --ctstate NEW");
      forward(sim, udp("10.0.1.2:4000", "10.0.2.2:53"));
      run(sim, "conntrack -E");
      const ns = sim.namespaces.get("node");
      if (ns !== undefined) conntrack(ns).remove(() => true);
      expect(run(sim, "conntrack -E").stdout.split("\n").length - 1).toBe(lines);
    }
  });
});
