import { expect, test } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import { Simulation } from "../../../src/core/simulation.js";
import { parseCorefile } from "../../../src/kube/dns/corefile.js";
import { DnsServer, type DnsAnswer } from "../../../src/kube/dns/dns-server.js";
import { newQuery } from "../../../src/kube/dns/messages.js";
import { chainOrder } from "../../../src/kube/dns/order.js";
import { setUpBlocks, startupLines } from "../../../src/kube/dns/server-blocks.js";
import { decodeDns, encodeDns } from "../../../src/wire/dns.js";
import type { DnsMessage } from "../../../src/wire/dns-message.js";

const client = { address: "10.1.2.3", port: 4000, proto: "udp" as const };

function serverOf(corefile: string): DnsServer {
  const sim = new Simulation({ seed: 1, pernet: [] });
  return new DnsServer({ sim, name: "coredns", corefile: parseCorefile(corefile, "Corefile") });
}

function receive(server: DnsServer, bytes: Uint8Array): readonly DnsMessage[] {
  let got: readonly Uint8Array[] | undefined;
  server.receive(bytes, client, (replies) => {
    got = replies;
  });
  return (got ?? []).map((reply) => {
    const message = decodeDns(reply);
    if (!message.ok) throw new Error(message.reason);
    return message.value;
  });
}

function ask(server: DnsServer, message: DnsMessage): DnsAnswer | undefined {
  let answer: DnsAnswer | undefined;
  server.ask(message, client, (value) => {
    answer = value;
  });
  return answer;
}

function errorOf(corefile: string): UserError | undefined {
  try {
    setUpBlocks(parseCorefile(corefile, "Corefile"));
    return undefined;
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}

const whoami = serverOf(".:53 {\n    whoami\n}\n");
const query = encodeDns(newQuery("a.example.", "A", { id: 0x1112 }));

function changed(at: number, value: number): Uint8Array {
  return Uint8Array.from(query, (byte, index) => (index === at ? value : byte));
}

test("less than a header, and replies, are not answered", () => {
  expect(receive(whoami, query.subarray(0, 11))).toEqual([]);
  expect(receive(whoami, changed(2, 0x81))).toEqual([]);
});

test("an update is answered NOTIMP with its opcode and nothing else", () => {
  expect(receive(whoami, changed(2, 0x29))).toMatchObject([
    { id: 0x1112, opcode: 5, rcode: "NOTIMP", rd: true, questions: [] },
  ]);
});

test("two questions, and a message cut short, are answered FORMERR", () => {
  expect(receive(whoami, changed(5, 2))).toMatchObject([{ rcode: "FORMERR", questions: [] }]);
  expect(receive(whoami, changed(11, 1))).toMatchObject([
    { rcode: "FORMERR", questions: [{ name: "a.example.", type: "A", class: "IN" }] },
  ]);
});

test("another EDNS version is answered BADVERS with version 0", () => {
  const edns = { udpSize: 1232, version: 1, do: false, options: [] };
  expect(receive(whoami, encodeDns(newQuery("a.example.", "A", { edns })))).toMatchObject([
    { rcode: "BADVERS", answers: [], edns: { version: 0, udpSize: 1232 } },
  ]);
});

test("another class is refused, unless a block has chaos", () => {
  const chaosQuery = {
    ...newQuery("version.bind.", "TXT"),
    questions: [{ name: "version.bind.", type: "TXT", class: "CH" }],
  };
  expect(ask(whoami, chaosQuery)?.replies[0]?.message.rcode).toBe("REFUSED");
  const chaos = serverOf(".:53 {\n    chaos v1\n}\n");
  expect(ask(chaos, chaosQuery)?.replies[0]?.message.answers[0]?.data).toBe('"v1"');
});

test("the block with the longest zone answers; a name in no zone is refused", () => {
  const server = serverOf("a.b:53 {\n    local\n    any\n}\nb:53 {\n    whoami\n}\n");
  expect(ask(server, newQuery("x.a.b.", "ANY"))?.replies[0]?.message.answers[0]?.type).toBe(
    "HINFO",
  );
  expect(ask(server, newQuery("x.b.", "ANY"))?.replies[0]?.message.additionals).toHaveLength(2);
  expect(ask(server, newQuery("c.", "A"))?.replies[0]?.message.rcode).toBe("REFUSED");
});

test("a reply over 512 bytes is cut and marked TC for a client without EDNS", () => {
  const lines = Array.from({ length: 60 }, (_, at) => `        192.0.2.${at + 1} a.example`).join(
    "\n",
  );
  const server = serverOf(`.:53 {\n    hosts {\n${lines}\n    }\n}\n`);
  const [reply] = receive(server, query);
  expect(reply?.tc).toBe(true);
  expect(encodeDns(reply ?? newQuery(".", "A")).length).toBeLessThanOrEqual(512);
  expect(reply?.answers.length).toBe(30);
});

test("a plugin that needs a service outside the world makes the answer unknown", () => {
  const server = serverOf(".:53 {\n    etcd skydns.local\n    whoami\n}\n");
  expect(ask(server, newQuery("a.skydns.local.", "A"))).toEqual({
    replies: [],
    unknown: "plugin etcd: what is in etcd is not part of the world",
  });
  expect(ask(server, newQuery("a.other.", "A"))?.unknown).toBeUndefined();
});

test("parser errors are in the words of the real parser", () => {
  const cases: readonly (readonly [string, string])[] = [
    [". {\n    foo\n}\n", "Corefile:2 - Error during parsing: Unknown directive 'foo'"],
    [
      ". { whoami }\n",
      "Corefile:1 - Error during parsing: Unexpected '}' because no matching opening brace",
    ],
    [". {\n    whoami\n", "Corefile:2 - Syntax error: Unexpected token 'whoami', expecting '}'"],
    [
      "a, {\n}\n",
      "Corefile:1 - Error during parsing: Expected another address but had '{' - check for extra comma",
    ],
    ["a,\n", "Corefile:1 - Error during parsing: Unexpected EOF"],
    [
      ". {\n    import\n}\n",
      "Corefile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'import'",
    ],
    [". {\n    import x\n}\n", "Corefile:2 - Error during parsing: File to import not found: x"],
    [
      "import a*b*\n",
      "Corefile:1 - Error during parsing: Glob pattern may only contain one wildcard (*), but has others: a*b*",
    ],
    [
      "(s) {\n}\n(s) {\n}\n",
      "Corefile:3 - Error during parsing: redeclaration of previously declared snippet s",
    ],
    [
      "a..b {\n    whoami\n}\n",
      "error inspecting server blocks: zone is not a valid domain name: a..b",
    ],
    [
      "a: {\n    whoami\n}\n",
      'error inspecting server blocks: expecting data after last colon: "a:"',
    ],
    [
      "a {\n    whoami\n}\na {\n    whoami\n}\n",
      "cannot serve dns://a.:53 - it is already defined",
    ],
    [
      "a {\n    whoami\n}\na {\n    bind 127.0.0.1\n    whoami\n}\n",
      "cannot serve dns://a.:53 on 127.0.0.1 - zone overlap listener capacity with dns://a.:53",
    ],
  ];
  for (const [text, message] of cases) expect(errorOf(text)?.message).toBe(message);
});

test("an error has its place, its line and a word that could have been meant", () => {
  expect(errorOf(".:53 {\n    erors\n}\n")?.details).toEqual({
    place: { file: "Corefile", line: 2, column: 5 },
    sourceLine: "    erors",
    length: 5,
    help: 'did you mean "errors"?',
  });
});

test("snippets, imported files and variables make the block they stand for", () => {
  const files = new Map([
    ["/etc/coredns/parts/a.conf", "errors\n"],
    ["/etc/coredns/parts/b.conf", "hosts {\n    10.0.0.1 b\n}\n"],
  ]);
  const text =
    "(base) {\n    cache {$TTL}\n}\n{%ZONE%}:5353 {\n    import base\n    import parts/*.conf\n}\n";
  const env = new Map([
    ["TTL", "17"],
    ["ZONE", "example.org"],
  ]);
  const { blocks } = parseCorefile(text, "/etc/coredns/Corefile", { files, env });
  expect(blocks.map((block) => block.keys)).toEqual([["example.org:5353"]]);
  const [block] = blocks;
  expect(
    [...(block?.directives ?? [])].map(([name, tokens]) => [
      name,
      tokens.map((token) => token.text).join(" "),
    ]),
  ).toEqual([
    ["cache", "cache 17"],
    ["errors", "errors"],
    ["hosts", "hosts { 10.0.0.1 b }"],
  ]);
});

test("start-up names every zone and warns of unusual ones", () => {
  const configs = setUpBlocks(parseCorefile("x_y 10.0.0.0/23 {\n    whoami\n}\n", "Corefile"));
  expect(startupLines(configs)).toEqual([
    'Warning: Domain "x_y." does not follow RFC1035 preferred syntax',
    "x_y.:53",
    "0.0.10.in-addr.arpa.:53",
    "1.0.10.in-addr.arpa.:53",
  ]);
});

test("before 1.14.2 the cache keeps what rewrite made for the client's own name", () => {
  const text = ".:53 {\n    cache\n    rewrite name a.example b.example\n    whoami\n}\n";
  const order = (era: "1.14.1" | "1.14.7"): string[] =>
    setUpBlocks(parseCorefile(text, "Corefile"), { era }).flatMap((config) =>
      config.chain.map((handler) => handler.name),
    );
  expect(order("1.14.7")).toEqual(["rewrite", "cache", "whoami"]);
  expect(order("1.14.1")).toEqual(["cache", "rewrite", "whoami"]);
});

test("both orders have the same plugins", () => {
  expect(chainOrder("1.14.1").toSorted()).toEqual(chainOrder("1.14.7").toSorted());
});

test("a block on another port answers there and nowhere else", () => {
  const server = serverOf("a.example:5353 {\n    whoami\n}\n");
  const rcodes = [53, 5353].map((port) => {
    let rcode: string | undefined;
    server.ask(
      newQuery("a.example.", "A"),
      client,
      (answer) => (rcode = answer.replies[0]?.message.rcode),
      port,
    );
    return rcode;
  });
  expect(rcodes).toEqual(["REFUSED", "NOERROR"]);
  expect(server.ports).toEqual([5353]);
});

test("prometheus counts queries and replies by zone", () => {
  const server = serverOf("example:53 {\n    prometheus\n    whoami\n}\n");
  ask(server, newQuery("a.example.", "A"));
  ask(server, newQuery("b.example.", "A"));
  expect(server.metrics()).toBe(
    'coredns_dns_requests_total{server="dns://:53",zone="example.",view="",proto="udp",family="1",type="A"} 2\n' +
      'coredns_dns_responses_total{server="dns://:53",zone="example.",view="",rcode="NOERROR"} 2\n',
  );
});
