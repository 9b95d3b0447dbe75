import fc from "fast-check";
import { expect, test } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { Simulation } from "../../../src/core/simulation.js";
import { parseCorefile } from "../../../src/kube/dns/corefile.js";
import { DnsServer } from "../../../src/kube/dns/dns-server.js";
import { compileExpr } from "../../../src/kube/dns/expr.js";
import { formatCorefile } from "../../../src/kube/dns/format.js";
import { parseTemplate, TemplateFailure } from "../../../src/kube/dns/go-template.js";
import { directiveOrder } from "../../../src/kube/dns/order.js";
import { parseResolvConf } from "../../../src/kube/dns/resolv-conf.js";
import { setUpBlocks } from "../../../src/kube/dns/server-blocks.js";
import { parseZone } from "../../../src/kube/dns/zone-file.js";
import { decodeDns, encodeDns } from "../../../src/wire/dns.js";
import { newQuery } from "../../../src/kube/dns/messages.js";
import { golden } from "./golden.js";

/** Only mistakes of the text may be thrown. */
function onlyUserErrors(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof UserError) && !(error instanceof UserErrors)) throw error;
    expect(error.message.length).toBeGreaterThan(0);
  }
}

const files = new Map([
  ["part", "errors\n"],
  ["/etc/resolv.conf", "nameserver 192.0.2.1\n"],
]);
const word = fc.oneof(
  fc.constantFrom(...directiveOrder),
  fc.constantFrom(
    "{",
    "}",
    "import",
    "part",
    "(snip)",
    "snip",
    ".",
    "example.org:53",
    "10.0.0.0/8",
    '"',
    "#x",
    "{$X}",
    "5s",
    "fallthrough",
    "ttl",
    "30",
    "name",
    "stop",
    "regex",
    "(a",
    "A",
    "IN",
    "match",
    "answer",
    "to",
    "*",
  ),
  fc.string({ maxLength: 6 }),
);
const corefiles = fc
  .array(fc.tuple(word, fc.constantFrom(" ", "\n", " {\n", "\n}\n")), { maxLength: 30 })
  .map((parts) => parts.map(([text, end]) => text + end).join(""));

test("no Corefile makes the parser, the setup or the formatter throw anything but a UserError", () => {
  fc.assert(
    fc.property(corefiles, (text) => {
      onlyUserErrors(() => setUpBlocks(parseCorefile(text, "Corefile", { files }), { files }));
      onlyUserErrors(() => formatCorefile(text, "Corefile"));
    }),
    { numRuns: 4000 },
  );
});

test("a recorded Corefile with words taken out or doubled is read or refused", () => {
  const texts = [...golden.corefileCases, ...golden.cases].map((item) => item.corefile);
  fc.assert(
    fc.property(
      fc.constantFrom(...texts),
      fc.nat(200),
      fc.nat(4),
      fc.boolean(),
      (text, at, count, doubled) => {
        const words = text.split(/(?<=\s)/);
        const part = words.slice(at % words.length, (at % words.length) + count);
        words.splice(at % words.length, doubled ? 0 : count, ...(doubled ? part : []));
        onlyUserErrors(() =>
          setUpBlocks(parseCorefile(words.join(""), "Corefile", { files }), { files }),
        );
      },
    ),
    { numRuns: 4000 },
  );
});

test("formatting what was formatted changes nothing, and the meaning stays", () => {
  for (const item of golden.corefileCases) {
    let once: string;
    try {
      once = formatCorefile(item.corefile, "Corefile");
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      continue;
    }
    expect(formatCorefile(once, "Corefile")).toBe(once);
    expect(tokensOf(once)).toEqual(tokensOf(item.corefile));
  }
});

function tokensOf(text: string): unknown {
  const { blocks } = parseCorefile(text, "Corefile");
  return blocks.map(({ keys, directives }) => [
    keys,
    [...directives].map(([name, tokens]) => [name, tokens.map((token) => token.text)]),
  ]);
}

test("an import that imports itself ends in an error", () => {
  const loop = new Map([["a", "import a\nimport a\n"]]);
  expect(() => parseCorefile(". {\n import a\n}\n", "Corefile", { files: loop })).toThrow(/import/);
  expect(() => parseCorefile("(a) {\n import a\n}\n. {\n import a\n}\n", "Corefile")).toThrow(
    "maximum snippet import depth (10000) exceeded",
  );
});

test("no zone file makes its reader throw", () => {
  const piece = fc.constantFrom(
    "@",
    "IN",
    "SOA",
    "A",
    "1.2.3.4",
    "(",
    ")",
    "\n",
    "$TTL",
    "$ORIGIN",
    "$GENERATE",
    "1-3",
    "1h",
    ";",
    '"',
    "\\",
    "a.b.",
    "TXT",
    "*",
    "MX",
    "10",
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(piece, fc.string({ maxLength: 5 })), { maxLength: 30 }),
      (parts) => {
        const zone = parseZone(parts.join(" "), "example.org.", "db", new Map());
        if ("records" in zone)
          for (const answer of zone.records)
            encodeDns({ ...newQuery(".", "A"), answers: [answer] });
      },
    ),
    { numRuns: 3000 },
  );
});

test("no expression, template or resolv.conf makes its reader throw", () => {
  const scope = { functions: new Map(), variables: new Map() };
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom(
            "(",
            ")",
            "[",
            "'a'",
            "1",
            "+",
            "==",
            "in",
            "not",
            "matches",
            "len(",
            "{{",
            "}}",
            "if",
            "end",
            "else",
            ".Name",
            "index",
            "|",
            '"',
          ),
          fc.string({ maxLength: 3 }),
        ),
        { maxLength: 12 },
      ),
      (parts) => {
        const text = parts.join(" ");
        compileExpr(text, scope);
        parseResolvConf(text);
        const template = parseTemplate("answer", text);
        if ("error" in template) return;
        try {
          template.run({ Name: "a." });
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateFailure);
        }
      },
    ),
    { numRuns: 4000 },
  );
});

function busyServer(): { readonly server: DnsServer; readonly sim: Simulation } {
  const sim = new Simulation({ seed: 1, pernet: [] });
  const corefile = `.:53 {
    metadata
    errors
    log
    rewrite continue name suffix .x .y answer auto
    autopath @kubernetes
    cache 30
    template ANY ANY t {
      match (a+)+$
      answer "{{ .Name }} 60 IN TXT \\"{{ index .Match 1 }}\\""
      fallthrough
    }
    hosts {
      10.0.0.1 host.y
      fallthrough
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods verified
      fallthrough in-addr.arpa
    }
    loop
    forward . 192.0.2.1
    loadbalance
}
`;
  const kubernetes = {
    synced: true,
    serial: 1,
    namespaces: [],
    services: [],
    endpointSlices: [],
    pods: [],
  };
  return {
    sim,
    server: new DnsServer({
      sim,
      name: "coredns",
      corefile: parseCorefile(corefile, "Corefile"),
      kubernetes,
    }),
  };
}

test("random messages are answered with a message, or not at all, and never stop the server", () => {
  const { server } = busyServer();
  const valid = encodeDns({
    ...newQuery("a.b.svc.cluster.local.", "SRV"),
    edns: { udpSize: 900, version: 0, do: true, options: [] },
  });
  const damaged = fc
    .tuple(fc.nat(valid.length - 1), fc.nat(255))
    .map(([at, value]) => Uint8Array.from(valid, (byte, index) => (index === at ? value : byte)));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (bytes) => {
      let answered = 0;
      server.receive(bytes, { address: "10.0.0.9", port: 4000, proto: "udp" }, (replies) => {
        answered++;
        for (const reply of replies) expect(decodeDns(reply).ok).toBe(true);
      });
      expect(answered).toBe(1);
    }),
    { numRuns: 20_000 },
  );
});

test("random names of every type are answered or unknown", () => {
  const { server } = busyServer();
  const label = fc.constantFrom(
    "svc",
    "pod",
    "cluster",
    "local",
    "a",
    "_tcp",
    "in-addr",
    "arpa",
    "10",
    "t",
    "x",
    "y",
    "host",
    "aaaa",
  );
  const types = fc.constantFrom(
    "A",
    "AAAA",
    "SRV",
    "PTR",
    "NS",
    "SOA",
    "TXT",
    "ANY",
    "AXFR",
    "DS",
    "TYPE65400",
  );
  fc.assert(
    fc.property(fc.array(label, { maxLength: 7 }), types, (labels, type) => {
      const name = labels.length === 0 ? "." : `${labels.join(".")}.`;
      let answered = 0;
      server.ask(
        newQuery(name, type),
        { address: "10.0.0.9", port: 4000, proto: "tcp" },
        () => answered++,
      );
      expect(answered).toBe(1);
    }),
    { numRuns: 5000 },
  );
});
