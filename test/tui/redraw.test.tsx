import { render } from "ink-testing-library";
import { afterEach, describe, expect, it } from "vitest";
import { Frame } from "../../src/tui/frame.js";
import { Screen } from "../../src/tui/screen.js";
import { update } from "../../src/tui/update.js";
import { demoTrace, screenOf } from "./shop.js";

describe("drawing again", () => {
  let ended: (() => void) | undefined;
  afterEach(() => ended?.());

  it("shows the next step as soon as its state is handed over", () => {
    const state = screenOf(demoTrace());
    const { rerender, lastFrame, unmount } = render(<Frame state={state} />);
    ended = unmount;
    expect(lastFrame()).toMatch(/> +1 +shop\/web-0/);
    rerender(<Frame state={update(state, { kind: "key", name: "j" }).state} />);
    expect(lastFrame()).toMatch(/> +2 +shop\/web-0/);
    expect(lastFrame()?.split("\n")).toHaveLength(24);
  });
});

describe("the screen that frames are written on", () => {
  const written: string[] = [];
  const target = { columns: 10, rows: 3, write: (text: string) => written.push(text) };

  it("writes only the lines that changed, each at its place", () => {
    written.length = 0;
    const screen = new Screen(target);
    screen.write("one\ntwo\nthree");
    screen.write("one\nTWO\nthree");
    screen.write("one\nTWO\nthree");
    expect(written).toHaveLength(2);
    expect(written[1]).toBe("\u001b[?2026h\u001b[2;1HTWO\u001b[0m\u001b[K\u001b[?2026l");
  });

  it("erases nothing at the last column, where the erase would take the letter", () => {
    written.length = 0;
    new Screen(target).write("0123456789");
    expect(written[0]).not.toContain("\u001b[K");
  });

  it("never sends what erases the scrollback, and draws nothing while the terminal is somebody else's", () => {
    written.length = 0;
    const screen = new Screen(target);
    screen.write("a");
    screen.drawing = false;
    screen.write("b");
    expect(written).toHaveLength(1);
    screen.drawing = true;
    screen.repaint();
    expect(written.join("")).not.toContain("\u001b[3J");
    expect(written.at(-1)).toContain("\u001b[1;1Hb");
  });

  it("counts a terminal that does not know its size as 80x24", () => {
    expect(new Screen({ ...target, columns: 0, rows: 0 }).size).toEqual({ columns: 80, rows: 24 });
  });
});
