import fc from "fast-check";
import { renderToString } from "ink";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { widthOf } from "../../src/tui/cells.js";
import { Frame } from "../../src/tui/frame.js";
import { helpLines } from "../../src/tui/help.js";
import { BINDINGS, hintsFor, type ScreenKind } from "../../src/tui/key-table.js";
import { plain } from "../../src/tui/style.js";
import type { Job, UiState } from "../../src/tui/ui-state.js";
import { resized, update } from "../../src/tui/update.js";
import { afterJob, demoTrace, screenOf } from "./shop.js";

// oxlint-disable-next-line no-control-regex -- the codes for colours
const CODES = /\u001b\[[0-9;]*m/g;

const start = screenOf(demoTrace("batch/job-0 shop/db:5432"));
const sizes = [
  [80, 24],
  [120, 40],
  [200, 50],
  [60, 16],
  [40, 10],
] as const;

/** Jobs that are quick enough to be run very often; what others open is tested elsewhere. */
const QUICK: readonly string[] = ["why", "matrix", "world", "worlds"];

function press(state: UiState, name: string): UiState {
  const { state: next, effects } = update(state, { kind: "key", name });
  return effects.reduce((before, effect) => {
    if (!QUICK.includes(effect.kind)) return before;
    try {
      return afterJob(before, effect as Job);
    } catch (error) {
      if (error instanceof UserError || error instanceof UserErrors) return before;
      throw error;
    }
  }, next);
}

describe("any keys", () => {
  it("on any screen leave a frame that fills the terminal exactly", () => {
    const names = [...new Set(BINDINGS.flatMap(({ keys }) => keys)), "a", "4", "x", "Backspace"];
    const keys = fc.array(fc.constantFrom(...names), { maxLength: 30 });
    fc.assert(
      fc.property(keys, fc.constantFrom(...sizes), (pressed, [columns, rows]) => {
        const state = pressed.reduce(press, resized(start, { columns, rows }));
        const lines = renderToString(<Frame state={state} />, { columns })
          .replaceAll(CODES, "")
          .split("\n");
        expect(lines).toHaveLength(rows);
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
      }),
      { numRuns: 25 },
    );
  });

  it("that a hint row shows are in the help of the same screen", () => {
    const kinds = [...new Set(BINDINGS.flatMap(({ screens }) => screens))];
    const helpOf = (over: ScreenKind): string =>
      helpLines({ kind: "help", over, scroll: 0, filter: "" }, 76, BINDINGS)
        .map(plain)
        .join("\n")
        .split("KEYS OF OTHER SCREENS")[0] ?? "";
    for (const kind of kinds) {
      const hints = hintsFor(kind, 200).split("  ");
      const shown = hints.flatMap((hint) => {
        const [keys = ""] = hint.split(" ");
        return keys === "/" ? [keys] : keys.split("/");
      });
      expect(shown).toContain("?");
      for (const key of shown) expect(helpOf(kind), `${kind} ${key}`).toContain(`\n  ${key}`);
    }
  });
});
