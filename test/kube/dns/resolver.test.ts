import { expect, test } from "vitest";
import { Simulation } from "../../../src/core/simulation.js";
import type { TraceEvent } from "../../../src/core/trace.js";
import { AnswerTable } from "../../../src/kube/dns/answer-table.js";
import { parseCorefile } from "../../../src/kube/dns/corefile.js";
import { DnsServer } from "../../../src/kube/dns/dns-server.js";
import type { KubernetesView } from "../../../src/kube/dns/kubernetes-view.js";
import { packetUpstream } from "../../../src/kube/dns/packet-upstream.js";
import { parseResolvConf } from "../../../src/kube/dns/resolv-conf.js";
import { candidateNames, resolve, type ResolveResult } from "../../../src/kube/dns/resolver.js";
import { serveDns } from "../../../src/kube/dns/server.js";
import { IPV4_LOOPBACK, ipv4 } from "../../../src/wire/ip.js";
import { runTool } from "../../../src/tools/index.js";
import { linuxStack } from "../../../src/tools/stack.js";

const kubeadm = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`;

const view: KubernetesView = {
  synced: true,
  serial: 1,
  namespaces: [{ metadata: { name: "default" } }, { metadata: { name: "prod" } }],
  services: [
    {
      metadata: { name: "backend", namespace: "default" },
      spec: { clusterIP: "10.96.0.20", ports: [{ port: 80 }] },
    },
    {
      metadata: { name: "backend", namespace: "prod" },
      spec: { clusterIP: "10.96.0.21", ports: [{ port: 80 }] },
    },
  ],
  endpointSlices: [],
  pods: [],
};

const conf = parseResolvConf(
  "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n",
);

interface World {
  readonly sim: Simulation;
  readonly events: TraceEvent[];
  readonly unknown: string[];
  readonly ask: (name: string, types?: readonly string[]) => ResolveResult | undefined;
}

interface WorldOptions {
  readonly corefile?: string;
  readonly serve?: boolean;
  /** A resolver on 127.0.0.2 that the Corefile's file names. */
  readonly table?: AnswerTable;
}

function world({ corefile = kubeadm, serve = true, table }: WorldOptions = {}): World {
  const sim = new Simulation({ seed: 1, pernet: linuxStack });
  const ns = sim.createNamespace("pod");
  runTool(sim, { ns: "pod", argv: ["ip", "link", "set", "lo", "up"] });
  const events: TraceEvent[] = [];
  sim.trace = (event) => void events.push(event);
  const files = new Map([
    ["/etc/resolv.conf", `nameserver ${table === undefined ? "192.0.2.53" : "127.0.0.2"}\n`],
  ]);
  const server = new DnsServer({
    sim,
    name: "coredns",
    corefile: parseCorefile(corefile, "Corefile", { files }),
    files,
    kubernetes: view,
    localAddresses: ["10.244.0.2"],
    upstream: packetUpstream(ns, () => table !== undefined),
  });
  const unknown: string[] = [];
  if (table !== undefined) serveDns(ns, table, { address: ipv4(0x7f000002) });
  if (serve)
    serveDns(ns, server, {
      address: IPV4_LOOPBACK,
      onUnknown: (reason) => void unknown.push(reason),
    });
  return {
    sim,
    events,
    unknown,
    ask(name, types) {
      let result: ResolveResult | undefined;
      resolve({ ns, conf, name, types }, (value) => {
        result = value;
      });
      sim.runUntilIdle();
      return result;
    },
  };
}

test("a service of the own namespace is found with the first search domain, by an A and an AAAA query", () => {
  const { ask, events } = world();
  expect(ask("backend")).toEqual({
    addresses: [{ address: "10.96.0.20", family: 4 }],
    records: [
      {
        name: "backend.default.svc.cluster.local.",
        type: "A",
        class: "IN",
        ttl: 30,
        data: "10.96.0.20",
      },
    ],
    name: "backend.default.svc.cluster.local.",
    tried: [{ name: "backend.default.svc.cluster.local.", outcome: "NOERROR", queries: 2 }],
    error: undefined,
  });
  expect(
    events.filter((event) => event.kind === "resolver" && event.action === "ask"),
  ).toHaveLength(2);
});

test("a service of another namespace is found with the second search domain", () => {
  const { ask } = world();
  expect(ask("backend.prod", ["A"])?.tried).toEqual([
    { name: "backend.prod.default.svc.cluster.local.", outcome: "NXDOMAIN", queries: 1 },
    { name: "backend.prod.svc.cluster.local.", outcome: "NOERROR", queries: 1 },
  ]);
});

test("each plugin that saw a query says what it did, in the order of the chain", () => {
  const { ask, events } = world();
  ask("backend", ["A"]);
  const steps = events.filter((event) => event.kind === "dns-plugin");
  expect(steps.map((event) => `${event.plugin} ${event.action}`)).toEqual([
    "prometheus passed",
    "errors passed",
    "loadbalance passed",
    "cache miss",
    "kubernetes answered",
    "cache stored",
  ]);
  expect(steps[4]?.why).toBe("service default/backend has ClusterIP 10.96.0.20");
  expect(steps[4]?.place).toEqual({ file: "Corefile", line: 7, column: 5 });
});

test("a second question is answered from the cache", () => {
  const { ask, events } = world();
  ask("backend", ["A"]);
  events.length = 0;
  ask("backend", ["A"]);
  const cache = events.find((event) => event.kind === "dns-plugin" && event.plugin === "cache");
  expect(cache).toMatchObject({ action: "hit", why: "success item of 30 s, 30 s left" });
});

test("a name outside the cluster is unknown when the world has no resolver for it", () => {
  const { ask, unknown, events } = world();
  expect(ask("example.com", ["A"])?.error).toBe("timeout");
  expect(new Set(unknown)).toEqual(
    new Set(["the world does not say what the resolver 192.0.2.53:53 answers"]),
  );
  expect(events.some((event) => event.kind === "unknown")).toBe(true);
});

test("a server that nobody runs is refused at once", () => {
  const { ask, sim } = world({ serve: false });
  expect(ask("backend")).toMatchObject({ error: "SERVFAIL", tried: [{ outcome: "ECONNREFUSED" }] });
  expect(sim.queue.now).toBeLessThan(1_000_000);
});

test("the names that are tried follow ndots and the final dot", () => {
  expect(candidateNames("backend", conf)).toEqual([
    "backend.default.svc.cluster.local.",
    "backend.svc.cluster.local.",
    "backend.cluster.local.",
    "backend.",
  ]);
  expect(candidateNames("a.b.c.d.e.f", conf)[0]).toBe("a.b.c.d.e.f.");
  expect(candidateNames("example.com.", conf)).toEqual(["example.com."]);
});

const outside = new AnswerTable({
  address: "127.0.0.2:53",
  rules: [
    {
      name: "example.com.",
      type: "A",
      reply: {
        fields: {
          ra: true,
          answers: [{ name: "$NAME", type: "A", class: "IN", ttl: 300, data: "192.0.2.80" }],
        },
      },
    },
    { name: "example.com.", reply: { fields: { ra: true } } },
  ],
});

test("a name outside costs the three candidates of the search list before it is forwarded", () => {
  const { ask } = world({ table: outside });
  expect(ask("example.com")).toMatchObject({
    addresses: [{ address: "192.0.2.80", family: 4 }],
    tried: [
      { name: "example.com.default.svc.cluster.local.", outcome: "NXDOMAIN", queries: 2 },
      { name: "example.com.svc.cluster.local.", outcome: "NXDOMAIN", queries: 2 },
      { name: "example.com.cluster.local.", outcome: "NXDOMAIN", queries: 2 },
      { name: "example.com.", outcome: "NOERROR", queries: 2 },
    ],
  });
  expect(ask("example.com.")?.tried).toHaveLength(1);
});

test("a name that nobody has is not found after every candidate", () => {
  const { ask } = world({ table: outside });
  const result = ask("nosuch");
  expect(result?.error).toBe("NXDOMAIN");
  expect(result?.tried.map((entry) => entry.outcome)).toEqual([
    "NXDOMAIN",
    "NXDOMAIN",
    "NXDOMAIN",
    "NXDOMAIN",
  ]);
});

test("a server that never answers is given up after two rounds of five seconds, for the first name and the name as it is", () => {
  const silent = new AnswerTable({
    address: "127.0.0.1:53",
    rules: [{ reply: { drop: true, fields: {} } }],
  });
  const { sim, ask } = world({ serve: false });
  const ns = sim.namespaces.get("pod");
  if (ns !== undefined) serveDns(ns, silent);
  expect(ask("backend")).toMatchObject({
    error: "timeout",
    tried: [
      { name: "backend.default.svc.cluster.local.", outcome: "timeout", queries: 4 },
      { name: "backend.", outcome: "timeout", queries: 4 },
    ],
  });
  expect(sim.queue.now).toBe(20_000_000);
});

test("a truncated reply is asked for again over TCP", () => {
  const many = Array.from(
    { length: 60 },
    (_, at) => `      192.0.2.${at + 1} many.default.svc.cluster.local`,
  ).join("\n");
  const corefile = `.:53 {\n    hosts {\n${many}\n      fallthrough\n    }\n    whoami\n}\n`;
  const { ask, events } = world({ corefile });
  expect(ask("many")?.addresses).toHaveLength(60);
  expect(events.some((event) => event.kind === "socket" && event.action === "accepted")).toBe(true);
});

test("a forward that leads back to the server is a loop, and ends the process", () => {
  const sim = new Simulation({ seed: 1, pernet: [] });
  const lines: string[] = [];
  const server: DnsServer = new DnsServer({
    sim,
    name: "coredns",
    corefile: parseCorefile(".:53 {\n    loop\n    forward . 127.0.0.1\n}\n", "Corefile"),
    upstream: {
      exchange(request, then) {
        const client = { address: "127.0.0.1", port: 40_001, proto: request.proto };
        if (lines.length > 0) return then({ kind: "error", text: "the process has ended" });
        server.ask(request.message, client, (answer) => {
          const [reply] = answer.replies;
          then(
            reply === undefined
              ? { kind: "error", text: "no reply" }
              : { kind: "reply", message: reply.message },
          );
        });
      },
    },
    fatal: (line) => void lines.push(line),
  });
  server.start();
  sim.runUntilIdle();
  expect(lines[0]).toMatch(
    /^\[FATAL\] plugin\/loop: Loop \(127\.0\.0\.1:40001 -> :53\) detected for zone "\.", see https:\/\/coredns\.io\/plugins\/loop#troubleshooting\. Query: "HINFO \d+\.\d+\."$/,
  );
});
