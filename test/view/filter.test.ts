import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { filterCompletions, filterMistake, parseFilter } from "../../src/view/filter.js";
import { formatErrors } from "../../src/view/error-text.js";
import { effectOf, FILTER_FIELDS } from "../../src/view/filter-fields.js";
import { demoTrace } from "../tui/shop.js";

const model = demoTrace();
const all = model.steps.map(({ n }) => n);

/** The numbers of the steps that a filter leaves. */
const left = (text: string): readonly number[] => {
  const filter = parseFilter(text);
  return model.rows.filter((row) => filter.matches(row)).map(({ step }) => step.n);
};
const dnat = model.steps.find((step) => effectOf(step) === "dnat")?.n ?? 0;
const reply = model.steps.filter(({ leg }) => leg === "back").map(({ n }) => n);

describe("the filter language", () => {
  it("finds the one step that rewrites the destination", () => {
    expect(left("effect == dnat")).toEqual([dnat]);
    expect(left('changed.field == "ip.dst"')).toContain(dnat);
    expect(left(`step == ${dnat}`)).toEqual([dnat]);
  });

  it("looks at the packet before and after the step", () => {
    expect(left("before.ip.dst == 10.96.44.10 and not after.ip.dst == 10.96.44.10")).toEqual([
      dnat,
    ]);
    expect(left("before.tcp.dstport == 80 and after.tcp.dstport == 8080")).toEqual([dnat]);
  });

  it("compares networks, ranges and lists", () => {
    expect(left("ip.dst == 10.96.0.0/16")).toEqual(all.filter((n) => n < dnat));
    expect(left("tcp.dstport in {8080, 1..10}")).toEqual(
      all.filter((n) => n >= dnat && !reply.includes(n)),
    );
    expect(left("step >= 3 and step < 5")).toEqual([3, 4]);
    expect(left("ip.ttl == 0x40")).toEqual(left("ip.ttl == 64"));
  });

  it("takes == for any and != for none of a field that occurs twice", () => {
    expect(left("tcp.port == 40000")).toEqual(all);
    expect(left("tcp.port != 40000")).toEqual([]);
    expect(left("tcp.port == 80 and tcp.port != 80")).toEqual([]);
  });

  it("knows presets, protocols, quoted text, and both ways to write and, or, not", () => {
    expect(left("reply")).toEqual(reply);
    expect(left("tcp")).toEqual(all);
    expect(left("udp or arp")).toEqual([]);
    expect(left("decide")).toEqual(
      model.steps.filter(({ decisive }) => decisive).map(({ n }) => n),
    );
    expect(left('"kube-services"')).toEqual(
      left("chain == KUBE-SERVICES or rule.text contains KUBE-SERVICES"),
    );
    expect(left("!reply && (step == 1 || step == 2)")).toEqual([1, 2]);
    expect(left("nat")).toContain(dnat);
    expect(left("node matches ^shop/")).toEqual(left("pod"));
  });

  it("says what is wrong, and at which column", () => {
    expect(filterMistake("ip.dst ==")).toBe("a value is missing after == at column 10");
    expect(filterMistake("ip.dts == 1.2.3.4")).toBe(
      'no field "ip.dts" at column 1; did you mean ip.dst?',
    );
    expect(filterMistake("(reply")).toBe('")" is missing at column 7');
    expect(filterMistake("ip.ttl == many")).toBe('ip.ttl is a number, "many" is not at column 11');
    expect(filterMistake("ip.src == shop")).toBe(
      'ip.src is an address, "shop" is not at column 11',
    );
    expect(filterMistake("step = 1")).toBe('"=" is unexpected here at column 6; equality is ==');
    expect(filterMistake('node == "x')).toBe("the closing quote is missing at column 9");
    expect(filterMistake("rule.text matches (")).toContain("at column 19");
    expect(filterMistake("reply step")).toBe(
      '"step" is unexpected here at column 7; join tests with and, or',
    );
    expect(filterMistake("effect == dnat")).toBeUndefined();
  });

  it("takes packet filters on the bytes, and places their mistakes in the whole", () => {
    expect(left('bpf:"tcp dst port 8080"')).toEqual(left("tcp.dstport == 8080"));
    expect(left('not bpf:"host 10.96.44.10" and not reply')).toEqual(
      left("ip.addr != 10.96.44.10 and not reply"),
    );
    expect(filterMistake('reply and bpf:"tpc port 80"')).toBe(
      '"tpc" is no word of a packet filter at column 16; did you mean tcp?',
    );
    expect(filterMistake("bpf: tcp")).toContain("a packet filter in quotes is missing after bpf:");
  });

  it("knows the policy that a rule was made for", () => {
    const allowed = left("policy == shop/api-from-web and effect == mark");
    expect(allowed.length).toBeGreaterThan(0);
    expect(left("policy")).toEqual(expect.arrayContaining([...allowed]));
    expect(left("policy and not rule")).toEqual([]);
  });

  it("underlines the whole word that is wrong", () => {
    const shown = (text: string): string => {
      try {
        parseFilter(text);
      } catch (error) {
        if (error instanceof UserError) return formatErrors(error);
      }
      return "";
    };
    expect(shown("step > 3 and effect == dnta")).toBe(`filter:1:24: error: effect is never "dnta"
    1 | step > 3 and effect == dnta
      |                        ^^^^
help: did you mean dnat?
`);
    expect(shown('node matches "(a"'))
      .toBe(`filter:1:14: error: "(a" is not a pattern: missing closing ): \`(a\`
    1 | node matches "(a"
      |              ^^^^
`);
  });

  it("takes time linear in the value for any pattern", () => {
    const start = performance.now();
    left('rule.text matches "(-|[A-Za-z ]+|.)*(-|[A-Za-z ]+|.)*z{3}$"');
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("completes fields, operators and the values that a trace has", () => {
    expect(filterCompletions("ip.d", model.rows)).toEqual({ start: 0, words: ["ip.dst"] });
    expect(filterCompletions("effect == d", model.rows).words).toEqual(["drop", "dnat", "deliver"]);
    expect(filterCompletions("node == shop/w", model.rows).words).toEqual(["shop/web-0"]);
    expect(filterCompletions("node ", model.rows).words).toContain("contains");
  });

  it("evaluates every field on every step", () => {
    for (const field of FILTER_FIELDS.values()) {
      for (const row of model.rows) expect(Array.isArray(field.values(row)), field.name).toBe(true);
    }
  });

  it("reads or refuses any text, and never fails otherwise", () => {
    const words = fc.constantFrom(
      "and",
      "or",
      "not",
      "(",
      ")",
      "ip.dst",
      "step",
      "==",
      "!=",
      "in",
      "{",
      "}",
      ",",
      "80",
      "1..2",
      '"x"',
      "10.0.0.0/8",
      "!",
      "matches",
      "reply",
    );
    const anything = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 12 }).map((parts) => parts.join(" ")),
    );
    fc.assert(
      fc.property(anything, (text) => {
        try {
          const filter = parseFilter(text);
          for (const row of model.rows.slice(0, 3)) filter.matches(row);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
    );
    expect(filterMistake("(".repeat(5000))).toContain("at most");
    expect(filterMistake("not ".repeat(400) + "reply")).toContain("nested at most 100 deep");
  });
});
