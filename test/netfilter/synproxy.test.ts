import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { connectTcp, listenTcp } from "../../src/inet/tcp-socket.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { IPV4_ANY, type Ipv4, parseIpv4 } from "../../src/wire/ip.js";
import { build, run } from "../tools/tool-fixtures.js";

interface Recorded {
  readonly options: string;
  readonly client: readonly string[];
  readonly server: readonly string[];
  readonly events: readonly string[];
}

const golden: { readonly cases: readonly Recorded[] } = JSON.parse(
  readFileSync(new URL("../golden/synproxy.json", import.meta.url), "utf8"),
);

test.each(golden.cases)(
  "with $options the proxy offers, asks and answers as the kernel's does",
  ({ options, ...recorded }) => {
    const { sim, seen } = handshake(options);
    const names = new Map<number, string>();
    const ours = {
      client: aliased(seen("client"), names).slice(0, recorded.client.length),
      server: aliased(seen("server"), names).slice(0, recorded.server.length),
      events: run(sim, "node", "conntrack -E").stdout.split("\n").slice(0, recorded.events.length),
    };
    const theirs = new Map<number, string>();
    expect(ours).toEqual({
      client: aliased(recorded.client, theirs),
      server: aliased(recorded.server, theirs),
      events: recorded.events,
    });
  },
);

test("the counters are printed as those of /proc/net/stat/synproxy", () => {
  const { sim } = handshake("--mss 1460");
  const counters = (): string => run(sim, "node", "cat /proc/net/stat/synproxy").stdout;
  expect(counters()).toBe(
    "entries\t\tsyn_received\tcookie_invalid\tcookie_valid\tcookie_retrans\tconn_reopened\n" +
      "00000000\t00000001\t00000000\t00000001\t00000000\t00000000\n",
  );
});

test("hooks of the proxy go with its last rule", () => {
  const { sim } = handshake("--mss 1460");
  const hooks = (): readonly string[] =>
    sim.namespaces
      .get("node")
      ?.hooks.list("ipv4", "POSTROUTING")
      .map(({ name }) => name) ?? [];
  expect(hooks()).toContain("synproxy");
  build(sim, "node: iptables -F FORWARD");
  expect(hooks()).not.toContain("synproxy");
});

interface Handshake {
  readonly sim: Simulation;
  /** What a host's device saw, as tcpdump prints it. */
  readonly seen: (ns: string) => readonly string[];
}

/** One connection from a client to a server behind a router with a SYNPROXY rule. */
function handshake(options: string): Handshake {
  const sim = createLinux({ seed: 5 });
  build(
    sim,
    `ip netns add client
    ip netns add node
    ip netns add server
    ip link add eth0 netns client type veth peer name eth1 netns node
    ip link add eth0 netns node type veth peer name eth0 netns server
    client: ip link set eth0 up
    node: ip link set eth1 up
    node: ip link set eth0 up
    server: ip link set eth0 up
    client: ip addr add 10.0.1.2/24 dev eth0
    client: ip route add default via 10.0.1.1
    node: ip addr add 10.0.1.1/24 dev eth1
    node: ip addr add 10.0.2.1/24 dev eth0
    server: ip addr add 10.0.2.2/24 dev eth0
    server: ip route add default via 10.0.2.1
    node: sysctl -qw net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_tcp_loose=0
    node: iptables -t raw -A PREROUTING -i eth1 -p tcp --syn -j CT --notrack
    node: iptables -A FORWARD -i eth1 -p tcp -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY ${options}`,
  );
  run(sim, "node", "conntrack -E");
  const lines: { readonly ns: string; readonly line: string }[] = [];
  sim.trace = (event) => {
    if (event.kind === "device" && event.frame.transport?.kind === "tcp")
      lines.push({ ns: event.ns, line: formatFrame(event.frame) });
  };
  const [client, server] = [sim.namespaces.get("client"), sim.namespaces.get("server")];
  if (client === undefined || server === undefined) throw new Error("no lab");
  listenTcp(server, { address: IPV4_ANY, port: 80 }, () => undefined);
  const address: Ipv4 = parseIpv4("10.0.2.2") ?? IPV4_ANY;
  connectTcp(client, { address, port: 80, sourcePort: 40001 });
  sim.runUntilIdle(later(sim.queue.now, seconds(0.5)));
  return {
    sim,
    seen: (ns) => lines.filter((one) => one.ns === ns).map(({ line }) => line.replace(/^IP /, "")),
  };
}

/** Numbers that are chance by a name, and how far they are behind another: both sides' of a run share `names`. */
function aliased(lines: readonly string[], names: Map<number, string>): readonly string[] {
  const alias = (text: string): string => {
    const value = Number(text);
    const known = names.get(value);
    if (known !== undefined) return known;
    const before = names.get(value - 1);
    const name = before === undefined ? `n${names.size}` : `${before}+1`;
    names.set(value, name);
    return name;
  };
  return lines.map((line) =>
    line.replaceAll(/\b(seq|ack|val|ecr) (\d+)/g, (whole, word: string, text: string) =>
      text === "0" ? whole : `${word} ${alias(text)}`,
    ),
  );
}
