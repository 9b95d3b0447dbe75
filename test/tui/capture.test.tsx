import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { renderToString } from "ink";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { parseReplayWords } from "../../src/tui/capture-job.js";
import type { CaptureScreenState } from "../../src/tui/capture-screen.js";
import { Frame } from "../../src/tui/frame.js";
import { currentTrace, topScreen, type UiState } from "../../src/tui/ui-state.js";
import { resized, update } from "../../src/tui/update.js";
import { afterJob, worldScreen } from "./shop.js";

// oxlint-disable-next-line no-control-regex -- the codes for colours
const CODES = /\u001b\[[0-9;]*m/g;

function draw(state: UiState): readonly string[] {
  const text = renderToString(<Frame state={state} />, { columns: state.size.columns });
  return text.split("\n").map((line) => line.replaceAll(CODES, "").trimEnd());
}

function keys(state: UiState, ...names: readonly string[]): UiState {
  return names.reduce((now, name) => update(now, { kind: "key", name }).state, state);
}

function typed(state: UiState, text: string): UiState {
  return keys(state, ...[...text].map((letter) => (letter === " " ? "Space" : letter)));
}

function captureOf(state: UiState): CaptureScreenState {
  const screen = topScreen(state);
  if (screen.kind !== "capture") throw new Error(`the screen is ${screen.kind}`);
  return screen;
}

const WORDS =
  "test/golden/captures/worker-1.pcapng --at veth4a2e5ef7=worker-1:veth4a2e5ef7 --at eth0=worker-1:eth0";
const start = afterJob(worldScreen("demo:shop", 120, 40), { kind: "replay", words: WORDS });

/** The capture with the first packet selected that fits. */
function at(state: UiState, number: number): UiState {
  const { log, shown } = captureOf(state);
  const place = shown.findIndex((index) => log.rows[index]?.packet.number === number);
  return keys(state, "g", ...Array.from({ length: place }, () => "j"));
}

describe("the capture screen", () => {
  it("lists every packet with what became of it", () => {
    const lines = draw(start);
    expect(lines).toHaveLength(40);
    expect(lines[0]).toContain("capture test/golden/captures/worker-1.pcapng");
    expect(lines.find((line) => line.includes("VERDICT"))).toContain("PKT   TIME      FLOW");
    expect(lines.join("\n")).toMatch(
      /║ > {3}1 {3}0\.000000 {2}ARP who-has 10\.244\.1\.1 +ok DELIVERED worker-1 +║/,
    );
    expect(captureOf(start).log.rows).toHaveLength(66);
    expect(captureOf(start).log.steps).toBeGreaterThan(900);
  });

  it("opens a packet as a trace, and comes back to the same row under the same filter", () => {
    const filtered = keys(typed(keys(start, "/"), "tcp and verdict == denied"), "Enter");
    expect(captureOf(filtered).shown).toHaveLength(2);
    const second = keys(filtered, "j");
    const opened = keys(second, "Enter");
    expect(topScreen(opened).kind).toBe("trace");
    const trace = currentTrace(opened);
    expect(trace?.model.name).toBe("packet 39");
    expect(trace?.model.steps.at(trace.at)?.effect).toBe("DENIED");
    const lines = draw(opened);
    expect(lines[0]).toContain("! DENIED");
    const back = keys(opened, "j", "q");
    expect(captureOf(back)).toBe(captureOf(second));
    expect(draw(back).join("\n")).toContain("2 of 66  filter: tcp and verdict == denied");
    expect(captureOf(keys(back, "Escape")).shown).toHaveLength(66);
  });

  it("opens the packet that brought a frame which the world made by itself", () => {
    const opened = keys(at(start, 43), "Enter");
    expect(currentTrace(opened)?.model.name).toBe("packet 37");
    expect(opened.message?.text).toBe("packet 43: the world brought it when packet 37");
  });

  it("shows what conntrack knew at that packet, from packets before it", () => {
    const opened = keys(at(start, 9), "Enter");
    const model = currentTrace(opened)?.model;
    const index = model?.steps.findIndex(({ ns }) => ns === "worker-1") ?? 0;
    const known = model?.state(index).all.filter(({ kind }) => kind === "conntrack") ?? [];
    expect(known.map(({ lines }) => lines[0])).toContainEqual(
      expect.stringContaining("tcp ESTABLISHED 10.244.1.5:54928 > 10.96.44.10:80"),
    );
    const first = currentTrace(keys(at(start, 4), "Enter"))?.model;
    const entries = first?.state(0).all.filter(({ kind }) => kind === "conntrack") ?? [];
    expect(entries.map(({ lines }) => lines[0])).toEqual([
      "tcp SYN_SENT 10.244.1.5:54928 > 10.96.44.10:80",
    ]);
  });

  it("shows counters as they stood at that packet", () => {
    const counts = [4, 17, 27].map((number) => {
      const model = currentTrace(keys(at(start, number), "Enter"))?.model;
      const index =
        model?.steps.findIndex(
          ({ chain, rule }) => chain === "KUBE-SERVICES" && rule !== undefined,
        ) ?? -1;
      const chain = model?.chain(index);
      return chain?.rows(0, chain.count).find(({ here }) => here)?.packets;
    });
    expect(counts).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
  });

  it("keeps the list and says what is wrong when a filter cannot be read", () => {
    const wrong = keys(typed(keys(start, "/"), "verdict =="), "Enter");
    expect(wrong.bar?.mistake).toContain("column");
    expect(captureOf(wrong).shown).toHaveLength(66);
    const none = keys(typed(keys(start, "/"), "udp"), "Enter");
    expect(draw(none).join("\n")).toContain("0 of 66: Esc clears");
  });

  it("fills every size exactly", () => {
    for (const [columns, rows] of [
      [80, 24],
      [60, 16],
      [200, 50],
    ] as const) {
      const lines = draw(resized(at(start, 44), { columns, rows }));
      expect(lines).toHaveLength(rows);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect(lines.filter((line) => /[│║|] >/.test(line))).toHaveLength(1);
    }
  });

  it.each([
    [120, 40],
    [80, 24],
  ] as const)("is shown in docs at %sx%s", (columns, rows) => {
    const path = `docs/screens/capture-${columns}x${rows}.txt`;
    const text = `${draw(resized(at(start, 37), { columns, rows })).join("\n")}\n`;
    if (process.env["HOPWISE_UPDATE"] === "1") {
      mkdirSync("docs/screens", { recursive: true });
      writeFileSync(path, text);
    }
    expect(text).toBe(readFileSync(path, "utf8"));
  });

  it("needs no world of another kind: mistakes are told as on the command line", () => {
    const mistake = (words: string): string => {
      try {
        parseReplayWords(words);
      } catch (error) {
        if (error instanceof UserError) return error.message;
        throw error;
      }
      return "none";
    };
    expect(mistake("x.pcap --at worker-1:eth0 --first --seed 7")).toBe("none");
    expect(mistake("--at a:b")).toBe("replay needs a capture file");
    expect(mistake("x --at")).toBe("--at needs a value");
    expect(mistake("x --sed 1")).toBe("no option --sed");
    expect(mistake("x y")).toBe('"y" is one word too many');
    expect(mistake("x --seed y")).toBe('"y" is no seed');
    expect(() =>
      afterJob(worldScreen("demo:shop"), {
        kind: "replay",
        words: "package.json --at worker-1:eth0",
      }),
    ).toThrow("unknown file format");
  });
});
