import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { newQuery } from "../../../src/kube/dns/messages.js";
import { parseResolvers, parseZoneFile } from "../../../src/kube/dns/resolver-file.js";
import { WorldResolver } from "../../../src/kube/dns/world-resolver.js";
import { recognise } from "../../../src/kube/recognise.js";
import { EventQueue } from "../../../src/sim/event-queue.js";
import { seconds } from "../../../src/sim/time.js";

const file = `node-resolv-conf: |
  nameserver 203.0.113.53
resolvers:
  203.0.113.53:
    records: |
      $TTL 300
      example.com.      SOA    ns.example.com. admin.example.com. 1 2 3 4 60
                        NS     ns.example.com.
                        A      192.0.2.80
      *.wild.example.com. A    192.0.2.81
      www.example.com.  CNAME  alone.example.org.
      alone.example.org. 60 A  192.0.2.90
    faults:
      - {name: "*.slow.example.", answer: drop}
      - {name: alone.example.org., type: AAAA, after: 60, answer: SERVFAIL}
`;

const queue = new EventQueue();

function ask(name: string, type = "A", text = file): string {
  const data = parseResolvers("resolvers.yaml", text).resolvers.get("203.0.113.53");
  if (data === undefined) throw new Error("not in the file");
  const answer = new WorldResolver("203.0.113.53", data, queue).ask(newQuery(name, type));
  if (answer.kind !== "reply") return answer.kind;
  const { rcode, answers, authorities } = answer.message;
  return [
    rcode,
    ...answers.map((item) => `${item.type} ${item.data}`),
    ...authorities.map(({ type: of }) => of),
  ].join(" ");
}

describe("a resolver of the world", () => {
  it("answers from a zone, and knows what is not in it", () => {
    expect(ask("example.com.")).toBe("NOERROR A 192.0.2.80");
    expect(ask("EXAMPLE.com.")).toBe("NOERROR A 192.0.2.80");
    expect(ask("example.com.", "AAAA")).toBe("NOERROR SOA");
    expect(ask("nosuch.example.com.")).toBe("NXDOMAIN SOA");
    expect(ask("a.wild.example.com.")).toBe("NOERROR A 192.0.2.81");
  });

  it("knows all records of a name that stands alone, and nothing about its neighbours", () => {
    expect(ask("alone.example.org.")).toBe("NOERROR A 192.0.2.90");
    expect(ask("alone.example.org.", "MX")).toBe("NOERROR");
    expect(ask("example.org.")).toBe("unknown");
    expect(ask("other.example.org.")).toBe("unknown");
  });

  it("follows an alias out of its zone", () => {
    expect(ask("www.example.com.")).toBe("NOERROR CNAME alone.example.org. A 192.0.2.90");
  });

  it("is silent or fails where its faults say so, from their second on", () => {
    expect(ask("a.slow.example.")).toBe("drop");
    expect(ask("slow.example.")).toBe("unknown");
    expect(ask("alone.example.org.", "AAAA")).toBe("NOERROR");
    queue.advanceTo(seconds(60));
    expect(ask("alone.example.org.", "AAAA")).toBe("SERVFAIL");
  });

  it("answers everything else as `otherwise` says", () => {
    const text = (code: string): string => `resolvers:\n  203.0.113.53: {otherwise: ${code}}\n`;
    expect(ask("a.example.", "A", text("NXDOMAIN"))).toBe("NXDOMAIN");
    expect(ask("a.example.", "A", text("drop"))).toBe("drop");
    expect(ask("a.example.", "A", text("UNKNOWN"))).toBe("unknown");
  });

  it("knows that no top-level domain is a number: the test name of loop does not exist", () => {
    expect(ask("123.456.", "HINFO")).toBe("NXDOMAIN");
  });
});

function errorOf(action: () => unknown): UserError {
  try {
    action();
  } catch (error) {
    if (error instanceof UserError) return error;
    if (error instanceof UserErrors && error.errors[0] !== undefined) return error.errors[0];
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("mistakes in a resolvers file", () => {
  it.each([
    [
      "resolvers:\n  203.0.113.53:\n    recrods: x\n",
      'unknown field "recrods"',
      'did you mean "records"?',
    ],
    ["resolvers:\n  example.com: {}\n", "expected an IPv4 address", undefined],
    [
      "resolvers:\n  203.0.113.53:\n    records: |\n      example.com. A 192.0.2\n",
      "line 1 of the records of 203.0.113.53",
      "the line is",
    ],
    [
      "resolvers:\n  203.0.113.53:\n    faults: [{answer: NXDOMIAN}]\n",
      "expected a response code or drop",
      undefined,
    ],
  ])("%j is refused with its place", (text, message, help) => {
    const error = errorOf(() => parseResolvers("r.yaml", text));
    expect(error.message).toContain(message);
    expect(error.details.place?.file).toBe("r.yaml");
    if (help !== undefined) expect(error.details.help).toContain(help);
  });

  it("random text is refused in words or read, never otherwise", () => {
    const line = fc.oneof(
      fc.constantFrom(...file.split("\n")),
      fc.string({ maxLength: 30 }),
      fc.constantFrom(
        "resolvers: {}",
        "  1.2.3.4:",
        "    records: {}",
        "    faults: [1]",
        "node-resolv-conf: 7",
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 16 }), (lines) => {
        for (const read of [parseResolvers, parseZoneFile]) {
          try {
            read("r.yaml", lines.join("\n"));
          } catch (error) {
            if (!(error instanceof UserError) && !(error instanceof UserErrors)) throw error;
          }
        }
      }),
      { numRuns: 400, seed: 5 },
    );
  });
});

describe("a zone file that stands alone", () => {
  const zone =
    "$TTL 60\nexample.net. IN SOA ns.example.net. admin.example.net. 1 2 3 4 60\n\tNS ns.example.net.\n";

  it("is known by its content", () => {
    expect(recognise(zone)).toBe("zone");
    expect(recognise("; a zone\nexample.net. 60 IN SOA ns. admin. 1 2 3 4 5\n")).toBe("zone");
    expect(recognise(file)).toBe("resolvers");
    expect(recognise("resolvers: {}\n")).toBe("resolvers");
  });

  it("has the origin of its SOA record, and is refused without one", () => {
    expect(parseZoneFile("net.zone", zone).origin).toBe("example.net.");
    expect(errorOf(() => parseZoneFile("net.zone", "$TTL 60\na. A 192.0.2.1\n")).message).toBe(
      "the zone file has no SOA record",
    );
  });
});
