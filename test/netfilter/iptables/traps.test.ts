import { beforeEach, expect, it } from "vitest";
import type { Simulation } from "../../../src/core/simulation.js";
import { PingSocket } from "../../../src/inet/ping.js";
import type { ToolResult } from "../../../src/tools/command.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { IPV4_LOOPBACK } from "../../../src/wire/ip.js";

/** Traps of docs/traps-iptables.md that no lab can show: they are about the legacy variant, or about many rules. */

let sim: Simulation;
beforeEach(() => {
  sim = createLinux({ seed: 1 });
  sim.createNamespace("box");
  run("ip link set lo up");
});

function run(line: string, stdin = ""): ToolResult {
  return runTool(sim, { ns: "box", argv: line.split(" "), stdin });
}

/** One echo request to ourselves: the packet and its answer pass INPUT. */
function ping(): void {
  const ns = sim.namespaces.get("box");
  if (ns === undefined) throw new Error("no box");
  const socket = new PingSocket(ns);
  socket.send(IPV4_LOOPBACK, { id: 7, sequence: 1, dontFragment: true, data: new Uint8Array(0) });
  sim.runUntilIdle();
  socket.close();
}

function saved(variant: "nft" | "legacy"): readonly string[] {
  return run(`iptables-${variant}-save -c`).stdout.split("\n");
}

it("a restore without :FORWARD keeps the policy of the chain in legacy and resets it in nft", () => {
  for (const variant of ["nft", "legacy"]) {
    run(`iptables-${variant} -P FORWARD DROP`);
    run(`iptables-${variant}-restore`, "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n");
  }
  expect(run("iptables-nft -S FORWARD").stdout).toBe("-P FORWARD ACCEPT\n");
  expect(run("iptables-legacy -S FORWARD").stdout).toBe("-P FORWARD DROP\n");
});

it("RETURN from a base chain counts as its policy in legacy; nft has no counter there", () => {
  for (const variant of ["nft", "legacy"]) run(`iptables-${variant} -A INPUT -p icmp -j RETURN`);
  ping();
  expect(saved("legacy")).toContain(":INPUT ACCEPT [2:56]");
  expect(saved("nft")).toContain(":INPUT ACCEPT [0:0]");
});

it("any change of a legacy table refills the limits and quotas of all its rules; nft leaves them", () => {
  for (const variant of ["nft", "legacy"]) {
    run(`iptables-${variant} -A INPUT -p icmp -m limit --limit 1/hour --limit-burst 2`);
    run(`iptables-${variant} -A INPUT -p icmp -m quota --quota 56`);
  }
  ping();
  ping();
  for (const variant of ["nft", "legacy"]) run(`iptables-${variant} -A OUTPUT -p tcp`);
  ping();
  const limit = "-A INPUT -p icmp -m limit --limit 1/hour --limit-burst 2";
  expect(saved("nft")).toContain(`[2:56] ${limit}`);
  expect(saved("legacy")).toContain(`[4:112] ${limit}`);
  expect(saved("nft")).toContain("[2:56] -A INPUT -p icmp -m quota --quota 56");
  expect(saved("legacy")).toContain("[4:112] -A INPUT -p icmp -m quota --quota 56");
});

/** A base chain that jumps into the first of `count` chains, each of which jumps into the next. */
function nested(count: number): string {
  const names = Array.from({ length: count }, (_, index) => `C${index}`);
  return [
    "*filter",
    ...names.map((name) => `:${name} - [0:0]`),
    "-A INPUT -j C0",
    ...names.slice(1).map((name, index) => `-A C${index} -j ${name}`),
    "COMMIT\n",
  ].join("\n");
}

it("nft takes 15 chains inside one another and refuses 16; legacy takes more", () => {
  expect(run("iptables-nft-restore", nested(15)).code).toBe(0);
  const refused = run("iptables-nft-restore", nested(16));
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain("RULE_APPEND failed (Too many links)");
  expect(run("iptables-legacy-restore", nested(20)).code).toBe(0);
});

it("a loop behind an unconditional DROP is taken by legacy, and an unreferenced one by both", () => {
  const loop = "-A A -j B\n-A B -j A\nCOMMIT\n";
  const chains = "*filter\n:A - [0:0]\n:B - [0:0]\n";
  const behind = `${chains}-A INPUT -j DROP\n-A INPUT -j A\n${loop}`;
  expect(run("iptables-legacy-restore", behind).code).toBe(0);
  expect(run("iptables-legacy-restore", `${chains}-A INPUT -j A\n${loop}`).code).toBe(1);
  expect(run("iptables-nft-restore", `${chains}${loop}`).code).toBe(0);
});

it("legacy prints the tables last touched first, nft in one fixed order", () => {
  const tables = ["security", "raw", "mangle", "nat", "filter"];
  for (const table of tables)
    for (const variant of ["nft", "legacy"])
      run(`iptables-${variant} -t ${table} -A OUTPUT -p tcp`);
  const order = (variant: "nft" | "legacy"): readonly string[] =>
    saved(variant).filter((line) => line.startsWith("*"));
  expect(order("legacy")).toEqual(["*filter", "*nat", "*mangle", "*raw", "*security"]);
  expect(order("nft")).toEqual(["*mangle", "*security", "*raw", "*filter", "*nat"]);
});
