import { describe, expect, it } from "vitest";
import { readWorlds } from "../../src/cli/files.js";
import { loadWorld } from "../../src/lab/world.js";
import { workOf } from "../../src/tui/jobs.js";
import { matrixLines } from "../../src/tui/matrix-pane.js";
import { plain } from "../../src/tui/style.js";
import {
  currentTrace,
  currentWorld,
  type ItemsScreenState,
  type Job,
  type MatrixScreenState,
  openWorldOf,
  topScreen,
  type UiState,
} from "../../src/tui/ui-state.js";
import { Sources } from "../../src/tui/sources.js";
import { update } from "../../src/tui/update.js";
import { afterJob, demoTrace, outside, screenOf, worldScreen } from "./shop.js";

const shop = screenOf(demoTrace());

/** Presses keys and does what they ask for. */
function press(state: UiState, ...names: readonly string[]): UiState {
  return names.reduce((now, name) => {
    const { state: next, effects } = update(now, { kind: "key", name });
    return effects.reduce((before, effect) => afterJob(before, effect as Job), next);
  }, state);
}

/** The keys that a text is typed with. */
function typed(text: string): readonly string[] {
  return text.split("").map((letter) => (letter === " " ? "Space" : letter));
}

function items(state: UiState): ItemsScreenState {
  const screen = topScreen(state);
  if (!("items" in screen)) throw new Error(`a ${screen.kind} screen`);
  return screen;
}

function matrix(state: UiState): MatrixScreenState {
  const screen = topScreen(state);
  if (screen.kind !== "matrix") throw new Error(`a ${screen.kind} screen`);
  return screen;
}

const texts = (state: UiState): readonly string[] =>
  items(state).items.map(({ head, details }) =>
    [plain(head), ...details.map(({ text }) => text)].join("\n"),
  );

describe("why", () => {
  const why = afterJob(shop, { kind: "why", words: "batch/job-0 shop/db:5432" });

  it("says which clause of which policy fails, on which side", () => {
    const all = texts(why);
    expect(all[0]).toMatch(/^! DENIED {2}batch\/job-0 -> shop\/db-0 tcp\/5432/);
    expect(all.find((text) => text.includes("db-from-api rule 1"))).toContain(
      "job-0 has app=job and is in namespace batch",
    );
  });

  it("opens the file of a policy at its line, and q goes back", () => {
    const at = items(why).items.findIndex(({ head }) => plain(head).includes("db-from-api rule"));
    const opened = press(why, ...Array.from({ length: at }, () => "j"), "Enter");
    expect(topScreen(opened)).toMatchObject({
      kind: "source",
      place: { file: "policies/db.yaml", line: 12 },
    });
    expect(topScreen(press(opened, "q")).kind).toBe("why");
  });

  it("makes a fix in the texts, reads them again, and asks again: then packets pass too", () => {
    const at = items(why).items.findIndex(({ head }) => plain(head).startsWith("FIX 1"));
    const fixed = press(why, ...Array.from({ length: at }, () => "j"), "Enter");
    expect(texts(fixed)[0]).toMatch(/^ok ALLOWED/);
    expect(currentWorld(fixed)?.name).toBe("demo:shop what-if");
    expect(currentWorld(fixed)?.sources.lines("policies/db.yaml")?.join("\n")).toContain("batch");
    const traced = press(fixed, "Enter");
    expect(currentTrace(traced)?.model.view.verdict.outcome).toBe("DELIVERED");
    const denied = afterJob(shop, { kind: "trace", words: "batch/job-0 shop/db:5432" });
    expect(currentTrace(denied)?.model.view.verdict.outcome).toBe("DENIED");
    expect(currentWorld(press(traced, "q", "q"))?.name).toBe("demo:shop");
  });

  it("makes every fix that it shows", () => {
    for (const { action } of items(why).items) {
      if (action?.kind !== "fix") continue;
      expect(texts(afterJob(why, action))[0]).toMatch(/^ok ALLOWED/);
    }
  });

  it("is copied as the equal command, unless the world was only tried out", () => {
    const copied = (state: UiState): unknown => update(state, { kind: "key", name: "C-y" }).effects;
    expect(copied(why)).toEqual([
      {
        kind: "copy",
        text: "hopwise why batch/job-0 shop/db:5432 -w demo:shop",
        what: "the command",
      },
    ]);
    const fix = items(why).items.find(({ action }) => action?.kind === "fix")?.action;
    expect(copied(afterJob(why, fix as Job))).toEqual([]);
  });

  it("is asked of the packet on the trace screen with w", () => {
    const trace = afterJob(shop, { kind: "trace", words: "batch/job-0 shop/db:5432" });
    expect(texts(press(trace, "w"))[0]).toMatch(/^! DENIED/);
  });

  it("says that a lab has no policies", () => {
    const lab = worldScreen("topologies/labs/reject.yaml");
    expect(() => afterJob(lab, { kind: "why", words: "client node:80" })).toThrow("no policies");
  });
});

describe("the matrix", () => {
  const state = afterJob(shop, { kind: "matrix", words: "-n shop,batch" });

  it("sends the packet of the chosen pair, on a port that is denied, and comes back with q", () => {
    const screen = matrix(press(state, "j", "l"));
    expect([screen.row, screen.column]).toEqual([1, 1]);
    const traced = press(state, "Enter");
    expect(currentTrace(traced)?.model.view.recording.request).toMatchObject({
      source: "batch/job-0",
      destination: "shop/api-0:8080",
    });
    const back = press(traced, "q");
    expect(topScreen(back).kind).toBe("matrix");
    expect(back.current).toBe(shop.current);
    expect(texts(press(state, "w"))[0]).toMatch(/^! DENIED {2}batch\/job-0 -> shop\/api-0/);
  });

  it("keeps rows with a text, and gives all back with Esc", () => {
    const filtered = press(state, "/", ...typed("db"), "Enter");
    expect(matrixLines(matrix(filtered), 76, 18).map(plain).join("\n")).not.toContain("web-0  ");
    expect(matrix(press(filtered, "Escape")).filter).toBe("");
  });

  it("shows only what a second world changes", () => {
    const open = readWorlds(["demo:shop"]).filter(({ file }) => !file.startsWith("policies/"));
    const work = workOf({ kind: "matrix", words: "-n shop,batch --diff ./open" }, shop, {
      ...outside,
      openWorld: () => loadWorld(open, "./open"),
    });
    let step = work.next();
    const told: string[] = [];
    while (step.done !== true) {
      told.push(step.value);
      step = work.next();
    }
    const compared = step.value(shop);
    const lines = matrixLines(matrix(compared), 76, 18).map(plain);
    expect(lines.filter((line) => line.includes("batch/job-0 ")).join("\n")).toMatch(/\[\+\]/);
    expect(lines.join(" ").replaceAll(/\s+/g, " ")).toContain("in ./open delivered");
    expect(lines.some((line) => /^. .* X( |$)/.test(line))).toBe(false);
    expect(told[0]).toBe("matrix of 7 pods");
    expect(told.at(-1)).toBe("comparing 5 of 5 rows");
    expect(
      matrixLines(matrix(press(compared, "d")), 76, 18)
        .map(plain)
        .join("\n"),
    ).toContain("X");
  });

  it("asks for a second world where there is none, and says what is no port", () => {
    expect(press(state, "d").bar?.text).toBe("matrix --diff ");
    expect(() => afterJob(shop, { kind: "matrix", words: "--ports 80,x" })).toThrow(
      '"x" is not a port',
    );
    expect(() => afterJob(shop, { kind: "matrix", words: "--nope 1" })).toThrow("no option");
  });
});

describe("worlds", () => {
  it("are listed, opened, and told with what check finds", () => {
    const list = afterJob({ ...shop, worlds: ["demo:dns", "demo:shop"] }, { kind: "worlds" });
    const opened = press(list, "Enter");
    expect(currentWorld(opened)?.name).toBe("demo:dns");
    expect(texts(opened)[0]).toBe("2 nodes, 5 pods, 4 services, 0 policies");
    expect(topScreen(press(opened, "q")).kind).toBe("worlds");
  });

  it("show warnings first, and open the place of one", () => {
    const policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: shop}
spec: {podSelector: {matchLabels: {app: nobody-has-this}}, policyTypes: [Ingress]}
`;
    const world = loadWorld(
      [...readWorlds(["demo:shop"]), { file: "extra.yaml", text: policy }],
      "demo:shop extra",
    );
    const state = afterJob(
      { ...shop, traces: [], screens: [], world: openWorldOf(new Sources(world)) },
      { kind: "world" },
    );
    const at = texts(state).findIndex((text) => text.startsWith("! warning"));
    expect(at).toBeGreaterThan(0);
    expect(texts(state)[at]).toContain("extra.yaml:");
    const opened = press(state, ...Array.from({ length: at }, () => "j"), "Enter");
    expect(topScreen(opened)).toMatchObject({ kind: "source", place: { file: "extra.yaml" } });
  });

  it("of a lab list its packets: Enter sends one", () => {
    const lab = worldScreen("topologies/labs/reject.yaml");
    const at = texts(lab).findIndex((text) => text.includes("client > 10.0.2.2:81"));
    const traced = press(lab, ...Array.from({ length: at }, () => "j"), "Enter");
    expect(currentTrace(traced)?.model.view.verdict.outcome).toBe("REJECTED");
    expect(topScreen(press(traced, ":", ...typed("routes node"), "Enter"))).toMatchObject({
      kind: "table",
      title: "routes node",
    });
  });

  it("of dumps alone take packets from outside by a device", () => {
    const rules = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";
    const world = loadWorld([{ file: "gw.rules", text: rules }], "gw.rules", {
      addresses: ["eth0=192.0.2.10/24", "eth1=10.0.0.1/24"],
    });
    const state = afterJob(
      { ...shop, traces: [], screens: [], world: openWorldOf(new Sources(world)) },
      { kind: "world" },
    );
    const traced = afterJob(state, {
      kind: "trace",
      words: "198.51.100.7 10.0.0.5:443 --in eth0",
    });
    expect(currentTrace(traced)?.model.view.verdict.outcome).toBe("DROPPED");
    const copied = update(traced, { kind: "key", name: "C-y" }).effects;
    expect(copied).toEqual([
      expect.objectContaining({
        text: "hopwise trace 198.51.100.7 10.0.0.5:443 --in eth0 -w gw.rules",
      }),
    ]);
  });
});
