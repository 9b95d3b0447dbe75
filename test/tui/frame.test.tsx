import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { renderToString } from "ink";
import { describe, expect, it } from "vitest";
import { widthOf } from "../../src/tui/cells.js";
import { Frame } from "../../src/tui/frame.js";
import { WORDS } from "../../src/tui/command-line.js";
import { BINDINGS, hintsFor } from "../../src/tui/key-table.js";
import { resized, update } from "../../src/tui/update.js";
import { withTable } from "../../src/tui/requests.js";
import { openWorldOf, type UiState } from "../../src/tui/ui-state.js";
import { screenSvg } from "./screen-svg.js";
import { afterJob, demoTrace, openDemo, screenOf, worldScreen } from "./shop.js";

// oxlint-disable-next-line no-control-regex -- the codes for colours
const CODES = /\u001b\[[0-9;]*m/g;

/** The rows as the terminal gets them. */
function painted(state: UiState): readonly string[] {
  return renderToString(<Frame state={state} />, { columns: state.size.columns }).split("\n");
}

function draw(state: UiState): readonly string[] {
  return painted(state).map((line) => line.replaceAll(CODES, "").trimEnd());
}

function keys(state: UiState, ...names: readonly string[]): UiState {
  return names.reduce((now, name) => update(now, { kind: "key", name }).state, state);
}

function typed(state: UiState, text: string): UiState {
  return keys(state, ...[...text].map((letter) => (letter === " " ? "Space" : letter)));
}

const model = demoTrace();
const dnat = model.steps.findIndex(({ effect }) => effect.startsWith("DNAT"));
const atDnat = keys(typed(keys(screenOf(model), ":"), String(dnat + 1)), "Enter");

describe("the screen", () => {
  it("fills every size exactly, with one title, and has no row that is too long", () => {
    for (const [columns, rows] of [
      [80, 24],
      [100, 30],
      [120, 40],
      [160, 45],
      [200, 50],
      [60, 16],
      [40, 10],
    ] as const) {
      const lines = draw(resized(atDnat, { columns, rows }));
      expect(lines, `${columns}x${rows}`).toHaveLength(rows);
      expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(columns);
      expect(lines.filter((line) => line.startsWith(" hopwise"))).toHaveLength(1);
      expect(lines[0]).toContain("ok DELIVERED");
      expect(lines.at(-1)).toContain("? help");
      expect(lines.filter((line) => /[║│] >.?\s*\d+\*/.test(line))).toHaveLength(1);
    }
  });

  it("says in one line when the terminal is too small", () => {
    const lines = draw(resized(atDnat, { columns: 39, rows: 9 }));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^need 40x10, have 39x9; hopwise trace/);
  });

  it("shows what each tab is for at the step that rewrites the destination", () => {
    const tab = (name: string): string => draw(keys(atDnat, name)).slice(12).join("\n");
    expect(tab("1")).toMatch(/ip\.dst +\* 10\.96\.44\.10 +10\.244\./);
    expect(tab("2")).toMatch(/eth\.src +\S+ +=/);
    expect(tab("3")).toMatch(/0a 60 .*\n.*=> /);
    expect(tab("4")).toMatch(/> +2 +0 => 1 /);
    expect(tab("5")).toContain("~ tcp SYN_SENT 10.244.1.5:40000 > 10.96.44.10:80");
    expect(tab("6")).toContain(`<== SYN, step ${dnat + 1}`);
    expect(tab("7")).toMatch(/> +\d+ +-A KUBE-SEP/);
  });

  it("shows the world right after the step, and exactly the same after going on and back", () => {
    for (const tab of ["1", "2", "3", "4", "5", "6", "7"]) {
      const before = keys(atDnat, tab);
      expect(
        draw(keys(before, "j", "j", "G", "g", ...Array.from({ length: dnat }, () => "j"))),
      ).toEqual(draw(before));
    }
  });

  it("names the deciding rule, what the sender sees and what to do at a drop", () => {
    const dropped = demoTrace("shop/api-0 shop/db:5432", "demo:shop-firewall");
    const last = dropped.steps.findIndex((step) => step.event === dropped.view.verdict.deciding);
    const text = draw(keys(typed(keys(screenOf(dropped), ":"), String(last + 1)), "Enter")).join(
      "\n",
    );
    expect(text).toContain("! DROPPED");
    expect(text).toContain("SENDER SEES  no answer");
    expect(text).toContain("NEXT");
    expect(text).toMatch(/> +\d+! worker-2/);
  });

  it("has no box without a word when a filter finds nothing", () => {
    const none = keys(typed(keys(screenOf(model), "/"), "step == 9999"), "Enter");
    expect(draw(none).join("\n")).toContain(`0 of ${model.steps.length}: Esc clears`);
  });

  it("offers help on every screen in the hint row", () => {
    for (const screen of ["trace", "table", "source", "packets", "help"] as const) {
      for (const width of [38, 78, 118]) expect(hintsFor(screen, width)).toContain("? help");
    }
  });

  it("keeps the columns of a table whose names are wide or have control characters", () => {
    const table = {
      header: ["NAME", "FROM"],
      rows: [
        ["a\u001b[31mb", "x:1"],
        ["世界", "y:2"],
      ],
    };
    const state: UiState = {
      ...screenOf(model),
      screens: [
        { kind: "trace" },
        {
          kind: "table",
          open: openWorldOf(model.sources),
          show: "pods",
          name: undefined,
          title: "pods",
          table,
          selected: 0,
          column: 0,
          filter: "",
        },
      ],
    };
    const lines = draw(state);
    expect(lines.join("\n")).toContain("a\\x1b[31mb");
    expect(new Set(lines.slice(1, -2).map(widthOf))).toEqual(new Set([80]));
  });
});

/** Screens as a reader of the documents sees them; HOPWISE_UPDATE=1 writes them again. */
const pictures: readonly (readonly [string, UiState])[] = [80, 120].flatMap((columns) => {
  const rows = columns === 80 ? 24 : 40;
  const at = resized(atDnat, { columns, rows });
  const dropped = resized(screenOf(demoTrace("shop/api-0 shop/db:5432", "demo:shop-firewall")), {
    columns,
    rows,
  });
  const size = `${columns}x${rows}`;
  return [
    [`trace-${size}`, at],
    [`chain-${size}`, keys(at, "4")],
    [`dropped-${size}`, keys(typed(keys(dropped, "/"), "dropped"), "Enter")],
    [`filter-${size}`, typed(keys(at, "/"), "effect == dnat and ip.dst ==")],
    [`help-${size}`, keys(at, "?")],
    [`pods-${size}`, withTable(at, openDemo("demo:shop"), "pods", undefined)],
    [`packets-${size}`, keys(at, "P")],
    [`new-trace-${size}`, keys(at, "a")],
    [`world-${size}`, worldScreen("demo:shop", columns, rows)],
    [`worlds-${size}`, afterJob({ ...at, worlds: ["demo:dns", "demo:shop"] }, { kind: "worlds" })],
    [`why-${size}`, afterJob(at, { kind: "why", words: "batch/job-0 shop/db:5432" })],
    [`matrix-${size}`, keys(afterJob(at, { kind: "matrix", words: "" }), "l", "l")],
    [`policies-${size}`, afterJob(at, { kind: "show", show: "policies", name: undefined })],
    [`lab-${size}`, worldScreen("topologies/labs/reject.yaml", columns, rows)],
  ] as const;
});

describe("the screens in the documents", () => {
  it.each(pictures)("docs/screens/%s.txt is what the program draws", (name, state) => {
    const path = `docs/screens/${name}.txt`;
    const drawn = `${draw(state).join("\n")}\n`;
    if (process.env["HOPWISE_UPDATE"] === "1") {
      mkdirSync("docs/screens", { recursive: true });
      writeFileSync(path, drawn);
    }
    expect(drawn).toBe(readFileSync(path, "utf8"));
  });

  it("have their keys and words on a page that is made of the tables", () => {
    const cell = (text: string): string => text.replaceAll("|", "\\|");
    const rows = BINDINGS.map(
      ({ shown, label, screens }) =>
        `| \`${cell(shown)}\` | ${cell(label)} | ${screens.join(", ")} |`,
    );
    const words = WORDS.map(
      ({ word, args, label }) => `| \`${cell(`:${word} ${args}`.trim())}\` | ${cell(label)} |`,
    );
    const page = [
      "# Keys and words of the screen",
      "",
      "Made of `src/tui/key-table.ts` and `src/tui/command-line.ts`; `?` shows the same. Keys can be changed in `~/.config/hopwise/keys.yaml`.",
      "",
      "| key | what it does | on |",
      "|---|---|---|",
      ...rows,
      "",
      "| word | what it does |",
      "|---|---|",
      ...words,
      "",
    ].join("\n");
    if (process.env["HOPWISE_UPDATE"] === "1") writeFileSync("docs/keys.md", page);
    expect(page).toBe(readFileSync("docs/keys.md", "utf8"));
  });

  it("are a picture in the README: the step that decides a denied packet", () => {
    const denied = screenOf(demoTrace("batch/job-0 shop/db:5432"), 120, 40);
    const coloured: UiState = { ...denied, palette: { colour: true, ascii: false } };
    const path = "docs/screens/denied.svg";
    const title =
      "hopwise: a packet from batch/job-0 to shop/db is denied at step 24 by a NetworkPolicy";
    const svg = screenSvg(painted(coloured), 120, title);
    if (process.env["HOPWISE_UPDATE"] === "1") writeFileSync(path, svg);
    expect(svg).toBe(readFileSync(path, "utf8"));
    expect(svg).toContain("! DENIED");
    expect(svg).toContain(`<title>${title}</title>`);
    expect(readFileSync("README.md", "utf8")).toContain(`(${path})`);
  });
});
