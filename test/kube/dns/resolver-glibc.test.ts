import { expect, test } from "vitest";
import { Simulation } from "../../../src/core/simulation.js";
import { parseResolvConf } from "../../../src/kube/dns/resolv-conf.js";
import { resolve, type ResolveResult } from "../../../src/kube/dns/resolver.js";
import { replyTo } from "../../../src/kube/dns/messages.js";
import { serveDns } from "../../../src/kube/dns/server.js";
import { runTool } from "../../../src/tools/index.js";
import { linuxStack } from "../../../src/tools/stack.js";
import { decodeDns, encodeDns } from "../../../src/wire/dns.js";
import type { DnsMessage } from "../../../src/wire/dns-message.js";
import { parseIpv4 } from "../../../src/wire/ip.js";

/**
 * What glibc 2.36 (Debian 12) did in a network namespace of Linux 6.18: getaddrinfo("web") with
 * `search a.x b.x`, `options ndots:5 timeout:1` and servers that answer in the way each test names. Recorded:
 * server, second, name, type; and which queries shared a source port.
 */
type Answer = (message: DnsMessage) => Partial<DnsMessage> | undefined;

interface Seen {
  readonly queries: readonly string[];
  readonly ports: readonly number[];
  readonly result: ResolveResult | undefined;
}

function run(answer: Answer, servers: readonly string[] = ["127.0.0.1"]): Seen {
  const sim = new Simulation({ seed: 1, pernet: linuxStack });
  const ns = sim.createNamespace("pod");
  runTool(sim, { ns: "pod", argv: ["ip", "link", "set", "lo", "up"] });
  const queries: string[] = [];
  const ports: number[] = [];
  for (const server of servers) {
    serveDns(
      ns,
      {
        receive(bytes, client, respond) {
          const message = decodeDns(bytes);
          if (!message.ok) throw new Error(message.reason);
          const [question] = message.value.questions;
          queries.push(
            `${server.at(-1)} ${Math.floor(sim.queue.now / 1e6)} ${question?.name} ${question?.type}`,
          );
          ports.push(client.port);
          const fields = answer(message.value);
          respond(
            fields === undefined
              ? []
              : [encodeDns(replyTo(message.value, { ra: true, ...fields }))],
          );
        },
      },
      { address: parseIpv4(server) },
    );
  }
  const conf = parseResolvConf(
    `search a.x b.x\n${servers.map((server) => `nameserver ${server}\n`).join("")}options ndots:5 timeout:1\n`,
  );
  let result: ResolveResult | undefined;
  resolve({ ns, conf, name: "web" }, (value) => {
    result = value;
  });
  sim.runUntilIdle();
  return { queries, ports, result };
}

const typeOf = (message: DnsMessage): string | undefined => message.questions[0]?.type;
const address = (message: DnsMessage): Partial<DnsMessage> => ({
  answers: [
    { name: message.questions[0]?.name ?? ".", type: "A", class: "IN", ttl: 60, data: "10.0.0.1" },
  ],
});
const pair = (head: string): string[] => [`${head} A`, `${head} AAAA`];

test("NODATA goes on through the search list and ends as no address", () => {
  const { queries, result } = run(() => ({}));
  expect(queries).toEqual([...pair("1 0 web.a.x."), ...pair("1 0 web.b.x."), ...pair("1 0 web.")]);
  expect(result?.error).toBe("NODATA");
});

test("SERVFAIL is asked for twice, then the next name is tried", () => {
  const { queries, result } = run(() => ({ rcode: "SERVFAIL" }));
  expect(queries).toEqual(
    [
      "1 0 web.a.x.",
      "1 0 web.a.x.",
      "1 0 web.b.x.",
      "1 0 web.b.x.",
      "1 0 web.",
      "1 0 web.",
    ].flatMap(pair),
  );
  expect(result?.error).toBe("SERVFAIL");
});

test("REFUSED is asked for twice, then only the name as it is", () => {
  const { queries, result } = run(() => ({ rcode: "REFUSED" }));
  expect(queries).toEqual(["1 0 web.a.x.", "1 0 web.a.x.", "1 0 web.", "1 0 web."].flatMap(pair));
  expect(result?.error).toBe("SERVFAIL");
});

test("an address with a SERVFAIL beside it is taken at once", () => {
  const { queries, result } = run((message) =>
    typeOf(message) === "A" ? address(message) : { rcode: "SERVFAIL" },
  );
  expect(queries).toEqual(pair("1 0 web.a.x."));
  expect(result?.addresses).toEqual([{ address: "10.0.0.1", family: 4 }]);
});

test("NXDOMAIN with a SERVFAIL beside it counts as NXDOMAIN", () => {
  const { queries, result } = run((message) => ({
    rcode: typeOf(message) === "A" ? "NXDOMAIN" : "SERVFAIL",
  }));
  expect(queries).toEqual([...pair("1 0 web.a.x."), ...pair("1 0 web.b.x."), ...pair("1 0 web.")]);
  expect(result?.error).toBe("NXDOMAIN");
});

test("a silent server is asked twice a second apart from the same port, then for the name as it is", () => {
  const { queries, ports, result } = run(() => undefined);
  expect(queries).toEqual(["1 0 web.a.x.", "1 1 web.a.x.", "1 2 web.", "1 3 web."].flatMap(pair));
  expect(new Set(ports.slice(0, 4)).size).toBe(1);
  expect(new Set(ports.slice(4)).size).toBe(1);
  expect(result?.error).toBe("timeout");
});

test("when only A is answered both are asked again in turn, then on sockets of their own, and A is taken", () => {
  const { queries, ports, result } = run((message) =>
    typeOf(message) === "A" ? address(message) : undefined,
  );
  expect(queries).toEqual(["1 0 web.a.x.", "1 1 web.a.x.", "1 2 web.a.x."].flatMap(pair));
  expect(new Set(ports.slice(0, 4)).size).toBe(1);
  expect(new Set(ports).size).toBe(3);
  expect(result?.addresses).toEqual([{ address: "10.0.0.1", family: 4 }]);
});

test("two silent servers are asked by turns, a second each", () => {
  const { queries } = run(() => undefined, ["127.0.0.1", "127.0.0.2"]);
  expect(queries).toEqual(
    [
      "1 0 web.a.x.",
      "2 1 web.a.x.",
      "1 2 web.a.x.",
      "2 3 web.a.x.",
      "1 4 web.",
      "2 5 web.",
      "1 6 web.",
      "2 7 web.",
    ].flatMap(pair),
  );
});

test("two servers that fail are asked by turns, twice each, for every name", () => {
  const { queries } = run(() => ({ rcode: "SERVFAIL" }), ["127.0.0.1", "127.0.0.2"]);
  expect(queries).toHaveLength(24);
  expect(queries.slice(0, 8)).toEqual(
    ["1 0 web.a.x.", "2 0 web.a.x.", "1 0 web.a.x.", "2 0 web.a.x."].flatMap(pair),
  );
});
