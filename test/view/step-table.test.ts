import { describe, expect, it } from "vitest";
import { traceRequest } from "../../src/lab/trace.js";
import { formatTrace } from "../../src/view/text.js";
import { viewOf } from "../../src/view/trace-view.js";
import { demoWorld } from "../cli/demo-world.js";

const view = viewOf(
  traceRequest(demoWorld("shop"), {
    source: "203.0.113.9",
    destination: "worker-2:30080",
    protocol: "tcp",
    sourcePort: 40_000,
    ttl: undefined,
    seed: 1,
    endpoint: undefined,
    oneWay: false,
  }),
);
const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== "");

describe("a trace on a terminal", () => {
  it.each([80, 100, 120])("has no line wider than its %i columns", (width) => {
    const lines = formatTrace(view, { all: false, width }).split("\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(width);
  });

  it("loses nothing but the ends of chain names", () => {
    const whole = words(formatTrace(view, { all: false }));
    const fitted = words(formatTrace(view, { all: false, width: 80 }));
    const short = (word: string): string =>
      word.replace(/\b(KUBE-(?:SVC|SEP|EXT|SVL|FW)-[A-Z0-9]{2})[A-Z0-9]{14}/g, "$1..");
    expect(fitted).toEqual(whole.map(short));
    expect(fitted).toContain("192.168.10.12:59738");
  });

  it("is as it is in a file where there is room", () => {
    expect(formatTrace(view, { all: true, width: 400 })).toBe(formatTrace(view, { all: true }));
  });
});
