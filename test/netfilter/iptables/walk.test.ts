import { beforeEach, describe, expect, it } from "vitest";
import type { Simulation } from "../../../src/core/simulation.js";
import type { RuleEvent, TraceEvent } from "../../../src/core/trace.js";
import { UdpSocket } from "../../../src/inet/udp-socket.js";
import { listenTcp, connectTcp } from "../../../src/inet/tcp-socket.js";
import { rulesetOf } from "../../../src/netfilter/iptables/apply.js";
import { runTool } from "../../../src/tools/index.js";
import { createLinux } from "../../../src/tools/stack.js";
import { seconds } from "../../../src/sim/time.js";
import { type Ipv4, parseIpv4 } from "../../../src/wire/ip.js";
import { build } from "../../tools/tool-fixtures.js";

const address = (text: string): Ipv4 => parseIpv4(text) ?? (0 as Ipv4);

let sim: Simulation;
let events: TraceEvent[];

/** A client (10.1.0.2) and a server (10.1.0.1) on one wire. */
beforeEach(() => {
  sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add client
    ip netns add server
    ip link add c0 netns client address 02:00:00:00:00:0a type veth peer name s0 netns server address 02:00:00:00:00:01
    client: ip addr add 10.1.0.2/24 dev c0
    client: ip link set lo up
    client: ip link set c0 up
    server: ip addr add 10.1.0.1/24 dev s0
    server: ip link set lo up
    server: ip link set s0 up`,
  );
  events = [];
  sim.trace = (event) => events.push(event);
});

function load(rules: string, ns = "server", program = "iptables-restore"): void {
  const result = runTool(sim, { ns, argv: [program, "-c"], stdin: rules });
  expect(result).toEqual({ code: 0, stdout: "", stderr: "" });
}

/** Sends datagrams to the server's port; how many arrived. */
function send(count: number, port = 53): number {
  const server = sim.namespaces.get("server");
  const client = sim.namespaces.get("client");
  if (server === undefined || client === undefined) throw new Error("no lab");
  const listener = new UdpSocket(server);
  let received = 0;
  listener.bind(address("0.0.0.0"), port);
  listener.onDatagram = () => received++;
  const sender = new UdpSocket(client);
  for (let index = 0; index < count; index++) {
    sender.sendTo(new Uint8Array([1, 2, 3]), address("10.1.0.1"), port);
    sim.runUntilIdle(seconds(sim.queue.now / 1e6 + 0.001));
  }
  sim.runUntilIdle(seconds(sim.queue.now / 1e6 + 0.1));
  listener.close();
  sender.close();
  return received;
}

function saved(ns = "server"): readonly string[] {
  const { stdout } = runTool(sim, { ns, argv: ["iptables-save", "-c"] });
  return stdout.split("\n").filter((line) => line.startsWith("[") || line.startsWith(":"));
}

function rules(packet?: (event: RuleEvent) => boolean): readonly RuleEvent[] {
  return events.filter(
    (event): event is RuleEvent => event.kind === "rule" && (packet === undefined || packet(event)),
  );
}

describe("a walk through chains", () => {
  it("jumps, comes back behind the jump, and ends in the policy", () => {
    load(
      "*filter\n:INPUT DROP [0:0]\n:A - [0:0]\n-A INPUT -p tcp -j A\n-A INPUT -j A\n-A INPUT -p udp -j ACCEPT\n-A A -s 10.9.0.0/16 -j DROP\n-A A\nCOMMIT\n",
    );
    expect(send(1)).toBe(1);
    expect(saved()).toEqual([
      ":INPUT DROP [0:0]",
      ":FORWARD ACCEPT [0:0]",
      ":OUTPUT ACCEPT [0:0]",
      ":A - [0:0]",
      "[0:0] -A INPUT -p tcp -j A",
      "[1:31] -A INPUT -j A",
      "[1:31] -A INPUT -p udp -j ACCEPT",
      "[0:0] -A A -s 10.9.0.0/16 -j DROP",
      "[1:31] -A A",
    ]);
    expect(
      rules().map(({ chain, number, matched, effect, failed }) => [
        chain,
        number,
        matched,
        effect,
        failed,
      ]),
    ).toEqual([
      ["INPUT", 1, false, "continue", "packet is udp"],
      ["INPUT", 2, true, "jump", undefined],
      ["A", 1, false, "continue", "packet comes from 10.1.0.2"],
      ["A", 2, true, "continue", undefined],
      ["INPUT", 3, true, "accept", undefined],
    ]);
  });

  it("after a goto comes back behind the last jump, not behind the goto", () => {
    load(
      "*filter\n:A - [0:0]\n:B - [0:0]\n-A INPUT -j A\n-A INPUT -p udp -j DROP\n-A A -g B\n-A A -j ACCEPT\n-A B -j RETURN\nCOMMIT\n",
    );
    expect(send(1)).toBe(0);
    expect(rules().map(({ chain, number, effect }) => `${chain}:${number} ${effect}`)).toEqual([
      "INPUT:1 jump",
      "A:1 goto",
      "B:1 return",
      "INPUT:2 drop",
    ]);
  });

  it("a goto from the base chain ends in the policy", () => {
    load(
      "*filter\n:INPUT DROP [0:0]\n:A - [0:0]\n-A INPUT -g A\n-A INPUT -j ACCEPT\n-A A -p tcp\nCOMMIT\n",
    );
    expect(send(1)).toBe(0);
    expect(events.find((event) => event.kind === "policy")).toMatchObject({
      chain: "INPUT",
      policy: "DROP",
      rulesLookedAt: 2,
      counter: [0, 1],
    });
  });

  it("RETURN in a base chain means the policy, which legacy counts", () => {
    load(
      "*filter\n:INPUT DROP [0:0]\n-A INPUT -j RETURN\n-A INPUT -j ACCEPT\nCOMMIT\n",
      "server",
      "iptables-legacy-restore",
    );
    expect(send(2)).toBe(0);
    expect(events.filter((event) => event.kind === "policy").map((event) => event.counter)).toEqual(
      [
        [0, 1],
        [1, 2],
      ],
    );
    expect(events.find((event) => event.kind === "dropped")).toMatchObject({
      reason: "NETFILTER_DROP",
      where: "nf_hook_slow",
    });
  });

  it("costs no event when nobody listens, and counts all the same", () => {
    sim.trace = undefined;
    load("*filter\n-A INPUT -p udp\nCOMMIT\n");
    expect(send(3)).toBe(3);
    expect(events).toEqual([]);
    expect(saved()).toContain("[3:93] -A INPUT -p udp");
  });

  it("tells the place of each rule in the text it came from", () => {
    const text = "*filter\n\n-A INPUT -p udp -j ACCEPT\nCOMMIT\n";
    runTool(sim, { ns: "server", argv: ["iptables-restore"], stdin: text, stdinName: "gw.rules" });
    send(1);
    expect(rules()[0]?.place).toEqual({ file: "gw.rules", line: 3, column: 1 });
    expect(rules()[0]?.text).toBe("-A INPUT -p udp -j ACCEPT");
  });
});

describe("matches that remember", () => {
  it("nth lets every third packet through, beginning with the first", () => {
    load(
      "*filter\n-A INPUT -p udp -m statistic --mode nth --every 3 --packet 0 -j ACCEPT\n-A INPUT -p udp -j DROP\nCOMMIT\n",
    );
    expect(send(8)).toBe(3);
    expect(saved()).toContain(
      "[3:93] -A INPUT -p udp -m statistic --mode nth --every 3 --packet 0 -j ACCEPT",
    );
  });

  it("nth with --packet 2 matches the 3rd and the 6th of 8", () => {
    load(
      "*filter\n-A INPUT -p udp -m statistic --mode nth --every 3 --packet 2 -j ACCEPT\n-A INPUT -p udp -j DROP\nCOMMIT\n",
    );
    expect(send(8)).toBe(2);
  });

  it("a burst of 3 lets 3 of 6 packets through, in both variants", () => {
    const text =
      "*filter\n-A INPUT -p udp -m limit --limit 5/min --limit-burst 3 -j ACCEPT\n-A INPUT -p udp -j DROP\nCOMMIT\n";
    load(text);
    expect(send(6)).toBe(3);
    load("*filter\nCOMMIT\n");
    load(text, "server", "iptables-legacy-restore");
    expect(send(6)).toBe(3);
  });

  it("a limit after a match that failed is not spent", () => {
    load(
      "*filter\n-A INPUT -m mark --mark 1 -m limit --limit 1/hour --limit-burst 1\n-A INPUT -p udp -m limit --limit 1/hour --limit-burst 1 -j ACCEPT\n-A INPUT -p udp -j DROP\nCOMMIT\n",
    );
    expect(send(3)).toBe(1);
  });

  it("legacy refills a spent limit when any rule of the table changes, nft does not", () => {
    const text =
      "*filter\n-A INPUT -p udp -m limit --limit 1/hour --limit-burst 1 -j ACCEPT\n-A INPUT -p udp -j DROP\nCOMMIT\n";
    for (const [variant, expected] of [
      ["nft", 0],
      ["legacy", 1],
    ] as const) {
      load(
        "*filter\nCOMMIT\n",
        "server",
        `iptables-${variant === "nft" ? "legacy" : "nft"}-restore`,
      );
      load(text, "server", `iptables-${variant}-restore`);
      expect(send(2)).toBe(1);
      expect(
        runTool(sim, { ns: "server", argv: [`iptables-${variant}`, "-A", "OUTPUT", "-p", "icmp"] })
          .code,
      ).toBe(0);
      expect(send(2)).toBe(expected);
    }
  });

  it("random draws from the seed and says what it drew", () => {
    load(
      "*filter\n-A INPUT -p udp -m statistic --mode random --probability 0.5 -j ACCEPT\n-A INPUT -p udp -j DROP\nCOMMIT\n",
    );
    const received = send(40);
    expect(received).toBeGreaterThan(8);
    expect(received).toBeLessThan(32);
    const failed = rules(({ number, matched }) => number === 1 && !matched);
    expect(failed[0]?.failed).toMatch(/^random 0\.\d\d >= 0\.50$/);
  });

  it("quota lets 100 bytes through and a packet too big uses up the rest", () => {
    load(
      "*filter\n-A INPUT -p udp -m quota --quota 100 -j ACCEPT\n-A INPUT -p udp -j DROP\nCOMMIT\n",
    );
    expect(send(5)).toBe(3);
  });

  it("recent remembers an address by name across rules", () => {
    load(
      "*filter\n-A INPUT -p udp -m recent --update --seconds 60 --hitcount 3 --name X -j DROP\n-A INPUT -p udp -m recent --set --name X -j ACCEPT\nCOMMIT\n",
    );
    expect(send(6)).toBe(3);
  });
});

describe("what hopwise does not model", () => {
  it("is told when a packet reaches it, and not when an earlier test of the rule failed", () => {
    const text =
      "*filter\n-A INPUT -p tcp -m geoip --source-country DE -j DROP\n-A INPUT -p udp -m geoip ! --source-country FR -j DROP\nCOMMIT\n";
    runTool(sim, { ns: "server", argv: ["iptables-restore"], stdin: text, stdinName: "gw.rules" });
    expect(send(1)).toBe(1);
    expect(events.filter((event) => event.kind === "unknown")).toMatchObject([
      { what: 'match "geoip" is not modelled', place: { file: "gw.rules", line: 3, column: 1 } },
    ]);
  });
});

describe("targets", () => {
  it("MARK in mangle goes on, and a later rule sees the mark", () => {
    load(
      "*mangle\n-A INPUT -p udp -j MARK --set-xmark 0x4000/0x4000\nCOMMIT\n*filter\n-A INPUT -m mark --mark 0x4000/0x4000 -j DROP\nCOMMIT\n",
    );
    expect(send(1)).toBe(0);
  });

  it("REJECT tells the sender, who sees the connection refused", () => {
    load("*filter\n-A INPUT -p udp -j REJECT\nCOMMIT\n");
    const client = sim.namespaces.get("client");
    if (client === undefined) throw new Error("no lab");
    const socket = new UdpSocket(client);
    const errors: string[] = [];
    socket.onError = (errno) => errors.push(errno);
    socket.connect(address("10.1.0.1"), 53);
    socket.send(new Uint8Array(1));
    sim.runUntilIdle(seconds(1));
    expect(errors).toEqual(["ECONNREFUSED"]);
  });

  it("tcp-reset ends a connect at once, with ttl 64, id 0 and DF", () => {
    load("*filter\n-A INPUT -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT\n");
    const [client, server] = [sim.namespaces.get("client"), sim.namespaces.get("server")];
    if (client === undefined || server === undefined) throw new Error("no lab");
    listenTcp(server, { address: address("0.0.0.0"), port: 80 }, () => undefined);
    const connection = connectTcp(client, { address: address("10.1.0.1"), port: 80 });
    const errors: string[] = [];
    connection.onError = (errno) => errors.push(errno);
    sim.runUntilIdle(seconds(1));
    expect(errors).toEqual(["ECONNREFUSED"]);
    const reset = events.find((event) => event.kind === "born" && event.by === "REJECT");
    expect(reset).toMatchObject({
      frame: {
        network: { ttl: 64, id: 0, dontFragment: true, tos: 0 },
        transport: { sequence: 0, flags: 0x14, window: 0 },
      },
    });
  });

  it("DROP in OUTPUT makes send fail with EPERM", () => {
    load("*filter\n-A OUTPUT -p udp -j DROP\nCOMMIT\n", "client");
    const client = sim.namespaces.get("client");
    if (client === undefined) throw new Error("no lab");
    expect(new UdpSocket(client).sendTo(new Uint8Array(1), address("10.1.0.1"), 53)).toBe("EPERM");
  });

  it("DNAT sends the first packet elsewhere and counts connections, not packets", () => {
    load("*nat\n-A PREROUTING -p udp -m udp --dport 80 -j REDIRECT --to-ports 53\nCOMMIT\n");
    const [client, server] = [sim.namespaces.get("client"), sim.namespaces.get("server")];
    if (client === undefined || server === undefined) throw new Error("no lab");
    const listener = new UdpSocket(server);
    let received = 0;
    listener.bind(address("0.0.0.0"), 53);
    listener.onDatagram = () => received++;
    const sender = new UdpSocket(client);
    for (let index = 0; index < 3; index++)
      sender.sendTo(new Uint8Array(1), address("10.1.0.1"), 80);
    sim.runUntilIdle(seconds(1));
    expect(received).toBe(3);
    expect(saved()).toContain(
      "[1:29] -A PREROUTING -p udp -m udp --dport 80 -j REDIRECT --to-ports 53",
    );
  });

  it("an empty nat chain is not walked while nothing tracks connections", () => {
    load("*nat\n-A PREROUTING -p udp\nCOMMIT\n");
    send(1);
    expect(saved()).toContain("[0:0] -A PREROUTING -p udp");
    load("*filter\n-A INPUT -m conntrack --ctstate INVALID\nCOMMIT\n");
    send(1);
    expect(saved()).toContain("[1:31] -A PREROUTING -p udp");
  });

  it("conntrack states are NEW, then ESTABLISHED after an answer", () => {
    load(
      "*filter\n-A INPUT -m conntrack --ctstate NEW\n-A INPUT -m conntrack --ctstate ESTABLISHED\n-A OUTPUT -m conntrack --ctstate ESTABLISHED\nCOMMIT\n",
    );
    const [client, server] = [sim.namespaces.get("client"), sim.namespaces.get("server")];
    if (client === undefined || server === undefined) throw new Error("no lab");
    const listener = new UdpSocket(server);
    listener.bind(address("0.0.0.0"), 53);
    listener.onDatagram = ({ source, sourcePort }) =>
      listener.sendTo(new Uint8Array(1), source, sourcePort);
    const sender = new UdpSocket(client);
    for (let index = 0; index < 2; index++) {
      sender.sendTo(new Uint8Array(1), address("10.1.0.1"), 53);
      sim.runUntilIdle(seconds(index + 1));
    }
    expect(
      saved()
        .slice(3)
        .map((line) => line.slice(0, 4)),
    ).toEqual(["[1:2", "[1:2", "[2:5"]);
  });
});

it("chains register only where they exist, and go when the table is emptied", () => {
  load("*filter\n-A INPUT -p udp -j DROP\nCOMMIT\n");
  const server = sim.namespaces.get("server");
  if (server === undefined) throw new Error("no lab");
  const names = (hook: "INPUT" | "OUTPUT"): readonly string[] =>
    server.hooks.list("ipv4", hook).map(({ name }) => name);
  expect([names("INPUT").includes("filter"), names("OUTPUT").includes("filter")]).toEqual([
    true,
    false,
  ]);
  load("*filter\nCOMMIT\n");
  expect(names("INPUT")).not.toContain("filter");
  expect(rulesetOf(server).tables.size).toBe(0);
});
