import fc from "fast-check";
import { load } from "js-yaml";
import { describe, expect, it } from "vitest";
import { formatMermaid } from "../../src/view/mermaid.js";
import type { Sequence } from "../../src/view/sequence.js";
import { formatSvg } from "../../src/view/svg.js";
import { hopwise } from "../cli/run.js";

const TRACE = "trace shop/web-0 shop/api:80 -w demo:shop";

/** The names of the elements, when every one that opens closes; throws otherwise. */
function elementsOf(xml: string): readonly string[] {
  const open: string[] = [];
  const names = new Set<string>();
  const rest = xml.replace(/<(\/?)([a-z]+)((?: [a-zA-Z0-9:-]+="[^"<]*")*)(\/?)>/g, (...groups) => {
    const [, close, name, , empty] = groups.map(String);
    if (close === "/") {
      if (open.pop() !== name) throw new Error(`</${name}> closes another element`);
    } else if (empty !== "/") open.push(name ?? "");
    names.add(name ?? "");
    return "";
  });
  if (open.length > 0 || /[<>]/.test(rest)) throw new Error(`left over: ${rest.slice(0, 80)}`);
  return [...names].toSorted();
}

/** Any picture of two lanes. */
const sequence: fc.Arbitrary<Sequence> = fc
  .tuple(fc.string({ unit: "binary" }), fc.string(), fc.string(), fc.boolean())
  .map(([title, name, text, back]) => ({
    title: title.replaceAll(/[^\x20-\x7e\u00a0-\ud7ff]/g, ""),
    lanes: [name, "end"],
    items: [
      { kind: "arrow", from: 0, to: 1, back, n: 1, text },
      { kind: "note", at: 1, n: 2, mark: "*", text },
    ],
  }));

describe("-o mermaid", () => {
  it("draws one arrow for each way between namespaces, dashed on the way back", async () => {
    const { out } = await hopwise(`${TRACE} -o mermaid`);
    const lines = out.split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "sequenceDiagram",
      "  title DELIVERED: shop/web-0 to shop/api:80",
      "  participant n0 as shop/web-0",
      "  participant n1 as worker-1",
    ]);
    const arrows = lines.filter((line) => line.includes(">>"));
    const out1 = arrows.filter((line) => !line.includes("-->>"));
    const ways = (list: readonly string[]): readonly string[] =>
      list.map((line) => /n\d-+>>n\d/.exec(line)?.[0].replace(/-+>>/, " ") ?? line);
    expect(ways(out1)).toEqual(["n0 n1", "n1 n2", "n2 n3", "n3 n4"]);
    expect(ways(arrows.slice(out1.length))).toEqual(["n4 n3", "n3 n2", "n2 n1", "n1 n0"]);
    expect(out).toContain("DNAT dst 10.96.44.10:80 => 10.244.2.5:8080");
  });

  it("keeps any text within its line", () => {
    fc.assert(
      fc.property(sequence, (given) => {
        const lines = formatMermaid(given).split("\n");
        expect(lines).toHaveLength(7);
        for (const line of lines.slice(1))
          expect(line).not.toMatch(/(?<!#\d+);|[<{}"`%\\]|\bend\b/i);
      }),
    );
  });
});

describe("-o svg", () => {
  it("has a title, a description and every way as text", async () => {
    const { out } = await hopwise(`${TRACE} -o svg`);
    expect(elementsOf(out)).toEqual([
      "circle",
      "desc",
      "line",
      "path",
      "rect",
      "svg",
      "text",
      "title",
    ]);
    expect(out).toContain("<title>DELIVERED: shop/web-0 to shop/api:80</title>");
    expect(out).toContain("10.244.1.5:40000 &gt; 10.96.44.10:80</text>");
  });

  it("is well-formed whatever the names are", () => {
    fc.assert(fc.property(sequence, (given) => void elementsOf(formatSvg(given))));
  });
});

describe("-o html", () => {
  it("asks for nothing, and has every step and the trace itself", async () => {
    const { out } = await hopwise(`${TRACE} -o html`);
    expect(out).not.toMatch(/\b(?:src|href)\s*=|url\(|@import|<link|<img/i);
    const json = JSON.parse((await hopwise(`${TRACE} -o json`)).out) as { steps: object[] };
    expect(out.match(/<li value=/g)).toHaveLength(json.steps.length);
    const inside = /id="trace">(.*?)<\/script>/.exec(out)?.[1] ?? "";
    expect(JSON.parse(inside)).toEqual(json);
    // 50 steps may take 500 kB.
    expect(out.length).toBeLessThan(10_000 * json.steps.length);
  });

  it("marks the bytes that a step changed", async () => {
    const { out } = await hopwise(`${TRACE} -o html`);
    const dnat = out.split("<li ").find((row) => row.includes("DNAT dst")) ?? "";
    // 10.96.44.10 became 10.244.2.5, and the checksums follow.
    expect(dnat).toContain("0a <mark>f4</mark>");
  });
});

describe("-o yaml, md and wide", () => {
  it("yaml is the JSON document", async () => {
    const yaml = await hopwise(`${TRACE} -o yaml`);
    expect(load(yaml.out)).toEqual(JSON.parse((await hopwise(`${TRACE} -o json`)).out));
  });

  it("md is a table of the steps that text shows, and a picture", async () => {
    const { out } = await hopwise(`${TRACE} -o md`);
    const text = await hopwise(TRACE);
    const numbers = (pattern: RegExp, from: string): readonly string[] =>
      [...from.matchAll(pattern)].map(([, n = ""]) => n);
    expect(numbers(/^\| (\d+) \|/gm, out)).toEqual(numbers(/^ *(\d+) \S/gm, text.out));
    expect(out).toContain("\n```mermaid\nsequenceDiagram\n");
    expect(out).toContain("nat KUBE-SVC-RUKNB3TURLFC6SGL\\[3\\]");
  });

  it("wide adds time, hook, counter and the rule's place", async () => {
    const { out } = await hopwise(`${TRACE} -o wide`);
    expect(out).toMatch(/\n {2}# {2}MS +WHERE +HOOK +STEP +EFFECT +PKTS +RULE AT\n/);
    expect(out).toMatch(
      /worker-1 cni0 +PREROUTING +nat KUBE-SERVICES\[\d+\] +-> KUBE-SVC-RUKNB3TURLFC6SGL +0 => 1 +worker-1\/kube-proxy\.rules:\d+:1\n/,
    );
  });
});
