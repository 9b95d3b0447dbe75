import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { atPrompt, program, Tmux, type TmuxOptions, tmuxIsHere } from "./tmux.js";

describe.skipIf(!tmuxIsHere())("the other screens in a terminal", () => {
  let open: Tmux | undefined;
  afterEach(() => {
    open?.close();
    open = undefined;
  });

  function started(words: string, options: TmuxOptions = {}): Tmux {
    const tmux = new Tmux(options);
    open = tmux;
    run(tmux, words);
    return tmux;
  }

  function run(tmux: Tmux, words: string): void {
    tmux.shell(`clear; ${process.execPath} ${program} tui ${words}`);
    tmux.waitFor((screen) => screen.includes("? help"), 20);
  }

  const says =
    (...texts: readonly string[]) =>
    (screen: string): boolean =>
      texts.every((text) => screen.includes(text));
  const title = (screen: string): string => screen.split("\n")[0] ?? "";

  it("list worlds when none is named, open one, and offer it again another time", () => {
    const tmux = started("");
    tmux.waitFor(says("demo:dns", "demo:shop", "collect"));
    tmux.keys("Enter");
    tmux.waitFor(says("2 nodes, 5 pods", "who reaches whom"));
    const copy = join(process.cwd(), "topologies", "labs", "reject.yaml");
    tmux.keys(":");
    tmux.type(`open ${copy}`);
    tmux.keys("Enter");
    tmux.waitFor(says("lab reject", "client > 10.0.2.2:81"));
    tmux.keys("q", "q", "q");
    tmux.waitFor(atPrompt);
    run(tmux, "");
    tmux.waitFor(says("reject.yaml"));
    tmux.keys("G", "Enter");
    tmux.waitFor(says("collect.sh", "kubectl"));
  });

  it("lead from a denied packet to the clause, to a fix, to the packet with it, and back", () => {
    const tmux = started('-w demo:shop --trace "batch/job-0 shop/db:5432"');
    tmux.waitFor((screen) => /> 24! .*DENIED/.test(screen) && screen.includes("step 24 decides"));
    expect(title(tmux.screen())).toContain("! DENIED");
    tmux.keys("w");
    tmux.waitFor(says("! DENIED", "db-from-api rule 1", "job-0 has app=job"));
    tmux.keys("j", "j", "j", "j", "j");
    tmux.waitFor((screen) => /> FIX 1/.test(screen));
    tmux.keys("Enter");
    tmux.waitFor(says("ok ALLOWED", "what if: add a peer"));
    tmux.keys("Enter");
    tmux.waitFor((screen) => title(screen).includes("ok DELIVERED"));
    tmux.keys("q", "q");
    tmux.waitFor((screen) => title(screen).includes("! DENIED") && screen.includes("> FIX 1"));
    tmux.keys("Escape");
    tmux.waitFor((screen) => /> 24! .*DENIED/.test(screen));
    tmux.keys("q");
    tmux.waitFor(atPrompt);
  });

  it("show who reaches whom at every size, and the packet of a pair", () => {
    const tmux = started("-w demo:shop", { columns: 120, rows: 40 });
    tmux.waitFor(says("3 nodes, 7 pods", "check:"));
    tmux.keys("M");
    tmux.waitFor(says("from \\ to", "36 pairs", "> batch/job-0"));
    tmux.resize(80, 24);
    tmux.waitFor(says("from \\ to", "36 pairs"));
    expect(Math.max(...tmux.rows().map((row) => row.length))).toBeLessThanOrEqual(80);
    tmux.keys("l", "l");
    tmux.waitFor(says("batch/job-0 -> shop/api-0", "! DENIED"));
    tmux.keys("?");
    tmux.waitFor(says("KEYS OF THIS SCREEN (matrix)", "only what changes in a second world"));
    tmux.keys("?", "Enter");
    tmux.waitFor((screen) => title(screen).includes("shop/api-0") && says("! DENIED")(screen));
    tmux.keys("q");
    tmux.waitFor(says("from \\ to"));
    tmux.keys(":policies", "Enter");
    tmux.waitFor(says("db-from-api", "SELECTS"));
  });

  it("say what they work on, and stop with Esc", () => {
    const tmux = started("-w demo:shop");
    const dump = join(tmux.home, "dump");
    mkdirSync(dump);
    writeFileSync(join(dump, "pods.json"), bigWorld(10_000));
    tmux.keys(":");
    tmux.type(`open ${dump}`);
    tmux.keys("Enter");
    tmux.waitFor(says("reading", "Esc stops"));
    tmux.keys("Escape");
    tmux.waitFor(says("stopped: "), 30);
    expect(tmux.screen()).toContain("3 nodes, 7 pods");
    tmux.keys("j");
    tmux.waitFor((screen) => / 2\/\d+ /.test(screen));
  });
});

/** A cluster of one node and many pods, as kubectl prints it. */
function bigWorld(pods: number): string {
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "node-1" },
    spec: { podCIDR: "10.0.0.0/15" },
    status: { addresses: [{ type: "InternalIP", address: "192.168.0.1" }] },
  };
  const items = Array.from({ length: pods }, (_, index) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `pod-${index}`, namespace: "default", labels: { app: `app-${index % 50}` } },
    spec: {
      nodeName: "node-1",
      containers: [{ name: "main", image: "main", ports: [{ containerPort: 80 }] }],
    },
    status: { podIP: `10.0.${(index >> 8) + 1}.${index & 255}` },
  }));
  return JSON.stringify({ apiVersion: "v1", kind: "List", items: [node, ...items] });
}
