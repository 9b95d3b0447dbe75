import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatStep } from "../../src/view/text.js";
import { BINDINGS } from "../../src/tui/key-table.js";
import { KeyReader } from "../../src/tui/keys.js";
import { withTable } from "../../src/tui/requests.js";
import { currentTrace, type Effect, topScreen, type UiState } from "../../src/tui/ui-state.js";
import { resized, tick, update } from "../../src/tui/update.js";
import { demoTrace, openDemo, screenOf } from "./shop.js";

const model = demoTrace();
const count = model.steps.length;
const start = screenOf(model);

/** Types keys as a terminal sends them, and gives the state and what was asked of the outside. */
function press(state: UiState, text: string): { state: UiState; effects: readonly Effect[] } {
  const reader = new KeyReader();
  const effects: Effect[] = [];
  let now = state;
  for (const event of [...reader.feed(text), ...reader.flush()]) {
    const next = update(now, event);
    now = next.state;
    effects.push(...next.effects);
  }
  return { state: now, effects };
}

const stepAfter = (text: string, from = start): number => {
  const trace = currentTrace(press(from, text).state);
  return trace?.model.steps[trace.at]?.n ?? 0;
};

describe("keys on the trace screen", () => {
  it("step forwards and backwards, and stop at the ends", () => {
    expect(stepAfter("jjjk")).toBe(3);
    expect(stepAfter("k")).toBe(1);
    expect(stepAfter("j".repeat(500))).toBe(count);
    expect(stepAfter("G")).toBe(count);
    expect(stepAfter("Gg")).toBe(1);
    expect(stepAfter(":12\r")).toBe(12);
  });

  it("go to steps that change the packet, to other nodes, to the reply and back", () => {
    const changes = model.steps.filter(({ mark }) => mark === "*").map(({ n }) => n);
    expect(stepAfter("]")).toBe(changes[0]);
    expect(stepAfter("]][")).toBe(changes[0]);
    expect(model.steps[stepAfter("}") - 1]?.ns).toBe("worker-1");
    expect(stepAfter("}{")).toBeLessThan(stepAfter("}"));
    expect(stepAfter("p")).toBe(model.steps.find(({ leg }) => leg === "back")?.n);
    expect(stepAfter("pp")).toBe(1);
  });

  it("set marks and go to them", () => {
    expect(stepAfter("jjmaG'a")).toBe(3);
    expect(press(start, "'x").state.message?.text).toBe("no mark x");
  });

  it("filter the rows, keep what is wrong in the bar, and give the rows back with Esc", () => {
    const filtered = press(start, "/effect == dnat\r").state;
    expect(currentTrace(filtered)?.shown.visible).toHaveLength(1);
    expect(currentTrace(press(filtered, "\u001b").state)?.shown.visible).toHaveLength(count);
    const wrong = press(filtered, "/ and\r").state;
    expect(wrong.bar?.mistake).toContain("at column");
    expect(currentTrace(wrong)?.shown.visible).toHaveLength(1);
  });

  it("mark instead of hiding after Ctrl-t in the bar", () => {
    const marked = currentTrace(press(start, "/\u0014effect == dnat\r").state);
    expect(marked?.shown.visible).toHaveLength(count);
    expect(marked?.shown.hits?.size).toBe(1);
  });

  it("run to the break filter and back", () => {
    const state = press(start, "Beffect == return\r").state;
    const first = stepAfter("c", state);
    expect(model.steps[first - 1]?.effect).toMatch(/^return/);
    expect(press(press(state, "cccccccccc").state, "c").state.message?.text).toContain(
      "no step after",
    );
    expect(stepAfter("ccC", state)).toBe(first === stepAfter("cc", state) ? first : first);
  });

  it("find text and go round the end", () => {
    const first = stepAfter("fDELIVERED\r");
    expect(model.steps[first - 1]?.effect).toContain("DELIVERED");
    expect(stepAfter("fDELIVERED\rnn")).toBe(first);
    expect(stepAfter("fDELIVERED\rN")).not.toBe(first);
  });

  it("copy the step as `trace --step` prints it, and the command that gives it", () => {
    expect(press(start, "jjy").effects).toEqual([
      { kind: "copy", text: formatStep(model.view, 3), what: "step 3" },
    ]);
    expect(press(start, "\u0019").effects).toEqual([
      {
        kind: "copy",
        text: "hopwise trace shop/web-0 http://api.shop -w demo:shop",
        what: "the command",
      },
    ]);
  });

  it("quit with q on the first screen only; Esc never quits", () => {
    expect(press(start, "q").effects).toEqual([{ kind: "quit" }]);
    expect(press(start, "\u001b").effects).toEqual([]);
    expect(press(start, "?q").effects).toEqual([]);
    expect(topScreen(press(start, "?").state).kind).toBe("help");
    expect(topScreen(press(start, "??").state).kind).toBe("trace");
  });

  it("play until the last step", () => {
    let { state } = press(start, " ");
    expect(state.playing).toBe(2);
    for (let index = 0; index < count + 2; index++) ({ state } = tick(state));
    expect(state.playing).toBeUndefined();
    expect(currentTrace(state)?.at).toBe(count - 1);
  });

  it("complete commands and names with Tab", () => {
    expect(press(start, ":trace shop/w\tsh").state.bar?.text).toBe("trace shop/web-0 sh");
    expect(press(start, ":pac\t").state.bar?.text).toBe("packets ");
    expect(press(start, ":trcae a b\r").state.bar?.mistake).toContain("did you mean trace?");
    expect(press(start, ":trace a b\r").effects).toEqual([
      { kind: "trace", words: "a b", typed: "trace a b" },
    ]);
  });

  it("recall what was typed before", () => {
    const state = press(start, ":3\r:5\r").state;
    expect(press(state, ":\u001b[A\u001b[A").state.bar?.text).toBe("3");
  });

  it("halve the range while locating until one step is left", () => {
    let { state } = press(start, ":locate\r");
    let asked = 0;
    while (state.locate !== undefined) {
      ({ state } = press(state, "y"));
      asked++;
    }
    expect(asked).toBe(Math.ceil(Math.log2(count)));
    expect(state.message?.text).toContain("lost between step");
  });

  it("run a command of the palette by its words", () => {
    const state = press(start, "\u0010next step that changes\r").state;
    expect(currentTrace(state)?.at).toBe(model.steps.findIndex(({ mark }) => mark === "*"));
  });

  it("run nothing from a paste", () => {
    expect(press(start, "\u001b[200~q\njj\u001b[201~")).toEqual({ state: start, effects: [] });
    expect(press(start, "/\u001b[200~effect ==\ndnat\u001b[201~").state.bar?.text).toBe(
      "effect == dnat",
    );
  });

  it("open a packet of the run as a trace of its own", () => {
    const { state } = press(start, "P\r");
    expect(state.traces).toHaveLength(2);
    expect(topScreen(state).kind).toBe("trace");
    expect(currentTrace(state)?.model.steps.length).toBeGreaterThan(0);
    expect(currentTrace(press(state, ":traces 1\r").state)?.model).toBe(model);
  });

  it("keep step, filter and focus when the terminal changes its size", () => {
    const { state } = press(start, "/decide\rjj\t");
    expect(currentTrace(resized(state, { columns: 200, rows: 50 }))).toBe(currentTrace(state));
  });

  it("start a trace from a row of a table", () => {
    const state = withTable(start, openDemo("demo:shop"), "pods", undefined);
    const row = press(state, "/job-0\rt").state;
    expect(row.bar?.text).toBe("trace batch/job-0 ");
    expect(press(state, "/db-0\rT").state.bar?.text).toBe("trace shop/web-0 shop/db-0");
    expect(topScreen(press(state, "\r").state).kind).toBe("source");
  });

  it("never fail, whatever is typed", () => {
    const key = fc.constantFrom(
      ...BINDINGS.flatMap(({ keys }) => keys),
      "a",
      "Z",
      "0",
      "é",
      "F5",
      "Insert",
      "M-x",
      "Enter",
      "Tab",
      "Backspace",
    );
    fc.assert(
      fc.property(
        fc.array(key, { maxLength: 60 }),
        fc.constantFrom([80, 24], [120, 40], [200, 50], [50, 12], [10, 3]),
        (keys, [columns = 80, rows = 24]) => {
          let state = resized(start, { columns, rows });
          for (const name of keys) ({ state } = update(state, { kind: "key", name }));
          expect(currentTrace(state)?.at).toBeGreaterThanOrEqual(0);
          expect(state.screens.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("the key table", () => {
  it("gives no key to two commands of one screen", () => {
    const seen = BINDINGS.flatMap(({ command, keys, screens }) =>
      keys.flatMap((key) => screens.map((screen) => ({ at: `${screen} ${key}`, command }))),
    );
    const twice = seen.filter(
      ({ at }, index) => seen.findIndex((other) => other.at === at) !== index,
    );
    expect(twice).toEqual([]);
  });
});
