import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { atPrompt, program, slowness, Tmux, type TmuxOptions, tmuxIsHere } from "./tmux.js";

interface JsonStep {
  readonly n: number;
  readonly netns: string;
  readonly effect: string;
  readonly changes: readonly unknown[];
}

const TRACE = ["shop/web-0", "http://api.shop", "-w", "demo:shop"];
const steps = (): readonly JsonStep[] =>
  (
    JSON.parse(
      execFileSync(process.execPath, [program, "trace", ...TRACE, "--json"], { encoding: "utf8" }),
    ) as { steps: readonly JsonStep[] }
  ).steps;

const here = tmuxIsHere();
if (!here) console.warn("tmux is not installed: the screen is not tested");

describe.skipIf(!here)("the trace screen in a terminal", () => {
  let open: Tmux | undefined;
  afterEach(() => {
    open?.close();
    open = undefined;
  });

  function start(options: TmuxOptions = {}, words = ""): Tmux {
    const tmux = new Tmux(options);
    open = tmux;
    tmux.shell("seq 1 300");
    tmux.waitFor((screen) => screen.includes("300\n"));
    tmux.shell(
      `${process.execPath} ${program} tui -w demo:shop --trace "shop/web-0 http://api.shop" ${words}`,
    );
    return tmux;
  }

  function started(options: TmuxOptions = {}, words = ""): Tmux {
    const tmux = start(options, words);
    tmux.waitFor((screen) => screen.includes("? help"), 20);
    return tmux;
  }

  /** The row of the time cursor. */
  const selected = (screen: string): string =>
    screen.split("\n").find((line) => /^[║│#|] > ?.?\s*\d/.test(line)) ?? "";
  const stepOf = (screen: string): number =>
    Number(/^[║│#|] >.?\s*(\d+)/.exec(selected(screen))?.[1]);
  const at =
    (n: number) =>
    (screen: string): boolean =>
      stepOf(screen) === n;

  it("T1: stands within two seconds, with verdict, help and no row that is too long", () => {
    const busy = slowness();
    const tmux = start();
    const elapsed = tmux.waitFor((screen) => screen.includes("? help"), 20);
    expect(elapsed).toBeLessThan(2000 * busy);
    const rows = tmux.rows();
    expect(rows).toHaveLength(24);
    expect(rows[0]).toContain("ok DELIVERED");
    expect(rows[23]).toContain("? help");
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(80);
  });

  it("T2: shows counters and connections as they were right after the step, also going back", () => {
    const all = steps();
    const dnat = all.find(({ effect }) => effect.startsWith("DNAT"))?.n ?? 0;
    const born = all.find(({ effect }) => effect === "NEW")?.n ?? 0;
    const tmux = started();
    tmux.keys("4");
    tmux.keys(`:${dnat}`, "Enter");
    tmux.waitFor((screen) => at(dnat)(screen) && /> +2 +0 => 1/.test(screen));
    tmux.keys("k");
    tmux.waitFor(
      (screen) =>
        at(dnat - 1)(screen) &&
        /> +3 +0 => 1/.test(screen) &&
        screen.includes("RUKNB3TURLFC6SGL[3]") === false,
    );
    tmux.keys("j");
    tmux.waitFor((screen) => at(dnat)(screen) && /> +2 +0 => 1/.test(screen));
    tmux.keys("5", `:${born - 1}`, "Enter");
    tmux.waitFor((screen) => at(born - 1)(screen) && screen.includes("5 State"));
    expect(tmux.screen()).not.toContain("~ tcp SYN_SENT");
    tmux.keys("j");
    tmux.waitFor((screen) => at(born)(screen) && screen.includes("~ tcp SYN_SENT"));
    tmux.keys("j");
    tmux.waitFor((screen) => at(born + 1)(screen) && screen.includes("~ tcp SYN_SENT"));
    tmux.keys("k", "k");
    tmux.waitFor((screen) => at(born - 1)(screen) && !screen.includes("~ tcp SYN_SENT"));
  });

  it("T3: loses no key of a burst", () => {
    const last = steps().length;
    const tmux = started();
    tmux.keys("-N", "200", "j");
    tmux.waitFor(at(last));
    tmux.keys("-N", "200", "k");
    tmux.waitFor(at(1));
    tmux.keys(...Array.from({ length: 50 }, () => "j"));
    tmux.waitFor(at(Math.min(51, last)));
    tmux.keys("-N", "9", "k");
    tmux.waitFor(at(Math.min(51, last) - 9));
  });

  it("T4: jumps to changes, to another node, to the reply", () => {
    const all = steps();
    const changes = all
      .filter((step) => step.changes.length > 0 && step.effect.includes("=>"))
      .map(({ n }) => n);
    const tmux = started();
    tmux.keys("]");
    tmux.waitFor((screen) => stepOf(screen) > 1 && /^. >.?\s*\d+\*/.test(selected(screen)));
    const first = stepOf(tmux.screen());
    expect(changes).toContain(first);
    tmux.keys("]");
    tmux.waitFor((screen) => stepOf(screen) > first && /^. >.?\s*\d+\*/.test(selected(screen)));
    tmux.keys("[");
    tmux.waitFor(at(first));
    const node = all[first - 1]?.netns;
    tmux.keys("}");
    tmux.waitFor((screen) => stepOf(screen) > first && all[stepOf(screen) - 1]?.netns !== node);
    tmux.keys("p");
    const reply = execFileSync(process.execPath, [program, "trace", ...TRACE, "-q", "-v"], {
      encoding: "utf8",
    });
    expect(reply).toContain("DELIVERED");
    tmux.waitFor((screen) => all[stepOf(screen) - 2]?.effect === "DELIVERED");
  });

  it("T5: filters rows, says how many are left, and gives them back", () => {
    const count = steps().length;
    const tmux = started();
    tmux.keys("/");
    tmux.type("effect == dnat");
    tmux.keys("Enter");
    tmux.waitFor((screen) => screen.includes(`1 of ${count}`));
    expect(tmux.rows().filter((row) => /DNAT 10\./.test(row))).toHaveLength(1);
    tmux.keys("Escape");
    tmux.waitFor((screen) => !screen.includes(` of ${count}`) && screen.includes("KUBE-SERVICES["));
  });

  it("T6: keeps the bar open and the list as it is when a filter is wrong", () => {
    const tmux = started();
    const before = tmux.rows().slice(2, 12);
    tmux.keys("/");
    tmux.type("ip.dst ==");
    tmux.keys("Enter");
    tmux.waitFor((screen) => screen.includes("column 10"));
    expect(tmux.rows().slice(2, 12)).toEqual(before);
    expect(tmux.rows()[22]).toContain("/ ip.dst ==");
    tmux.type(" 10.244.0.0/16");
    tmux.waitFor((screen) => screen.includes("   ok"));
  });

  it("T7: follows the size of the terminal and keeps the step", () => {
    const tmux = started();
    tmux.keys(":6", "Enter");
    tmux.waitFor(at(6));
    const titles = (): number => tmux.rows().filter((row) => row.startsWith(" hopwise")).length;
    tmux.resize(200, 50);
    tmux.waitFor(
      (screen) =>
        screen.includes("World") &&
        screen.includes("6 Map") &&
        screen.includes("2 Headers + 3 Bytes") &&
        at(6)(screen.replaceAll(/^│ .{30} │/gm, "")),
    );
    expect(titles()).toBe(1);
    tmux.resize(120, 40);
    tmux.waitFor(
      (screen) =>
        screen.includes("1 Why + 3 Bytes") && screen.includes("4 Chain + 5 State") && at(6)(screen),
    );
    expect(titles()).toBe(1);
    tmux.resize(60, 20);
    tmux.waitFor((screen) => screen.includes("Steps 1/3") && at(6)(screen));
    expect(titles()).toBe(1);
    tmux.resize(39, 9);
    tmux.waitFor((screen) => screen.includes("need 40x10, have 39x9"));
    tmux.resize(80, 24);
    tmux.waitFor(
      (screen) => screen.includes("1 Why") && screen.includes("7 Source") && at(6)(screen),
    );
    expect(titles()).toBe(1);
    expect(Math.max(...tmux.rows().map((row) => row.length))).toBeLessThanOrEqual(80);
  });

  it("T8: leaves the terminal as it was, scrollback included", () => {
    const tmux = started();
    const history = Number(tmux.command("display-message", "-p", "-t", "t", "#{history_size}"));
    tmux.resize(70, 20);
    tmux.waitFor((screen) => screen.includes("Steps 1/3"));
    tmux.resize(80, 24);
    tmux.waitFor((screen) => screen.includes("7 Source"));
    tmux.keys("q");
    tmux.waitFor(atPrompt);
    expect(history).toBeGreaterThan(200);
    expect(
      Number(tmux.command("display-message", "-p", "-t", "t", "#{history_size}")),
    ).toBeGreaterThanOrEqual(history);
    expect(tmux.command("display-message", "-p", "-t", "t", "#{alternate_on} #{cursor_flag}")).toBe(
      "0 1",
    );
  });

  it("T9: draws the same with CI set and with NODE_ENV=development", () => {
    const plain = started();
    const expected = plain.screen();
    plain.close();
    for (const env of [{ CI: "1" }, { NODE_ENV: "development" }]) {
      const tmux = started({ env });
      expect(tmux.screen(), JSON.stringify(env)).toBe(expected);
      tmux.close();
    }
  });

  it("T10: means the same without colour, and in ASCII", () => {
    const coloured = started();
    const text = coloured.screen();
    expect(coloured.screen("-e")).toMatch(/\[(\d+;)*3[1-6]m/);
    coloured.close();
    const grey = started({ env: { NO_COLOR: "1" } });
    // 39 and 49 are no colours: tmux writes them where an attribute ends.
    expect(grey.screen("-e")).not.toMatch(/\[(\d+;)*(3[0-8]|4[0-8]|9\d|10[0-7])[;m]/);
    expect(grey.screen()).toBe(text);
    grey.close();
    const ascii = started({}, "--ascii");
    expect(ascii.screen()).toMatch(/^[\n\x20-\x7e]*$/);
    expect(ascii.screen()).toContain("## Steps ##");
  });

  it("T11: gives the terminal back when it is terminated, suspended or crashes", () => {
    const tmux = started();
    tmux.keys(":7", "Enter");
    tmux.waitFor(at(7));
    tmux.keys("C-z");
    tmux.waitFor((screen) => screen.includes("Stopped"));
    tmux.shell("fg");
    tmux.waitFor((screen) => screen.includes("? help") && at(7)(screen));
    tmux.keys("j");
    tmux.waitFor(at(8));
    process.kill(tmux.processId(), "SIGTERM");
    tmux.waitFor(atPrompt);
    tmux.shell("echo code $?");
    tmux.waitFor((screen) => screen.includes("code 143"));
    expect(tmux.command("display-message", "-p", "-t", "t", "#{alternate_on} #{cursor_flag}")).toBe(
      "0 1",
    );
    tmux.shell(
      `HOPWISE_CRASH=1 ${process.execPath} ${program} tui 2> ${tmux.home}/err; echo code $?`,
    );
    tmux.waitFor((screen) => screen.includes("code 70"), 20);
    expect(tmux.command("display-message", "-p", "-t", "t", "#{alternate_on} #{cursor_flag}")).toBe(
      "0 1",
    );
    const file = /crash file: (.*)/.exec(readFileSync(`${tmux.home}/err`, "utf8"))?.[1] ?? "";
    expect(readFileSync(file, "utf8")).toContain("HOPWISE_CRASH");
  });

  it("T12: copies the step as `trace --step` prints it", () => {
    const tmux = started();
    tmux.command("set-option", "-s", "set-clipboard", "on");
    tmux.keys(":5", "Enter");
    tmux.waitFor(at(5));
    tmux.keys("y");
    tmux.waitFor((screen) => screen.includes("copied step 5"));
    const expected = execFileSync(process.execPath, [program, "trace", ...TRACE, "--step", "5"], {
      encoding: "utf8",
    });
    expect(tmux.command("show-buffer")).toBe(expected.trimEnd());
    expect(readFileSync(`${tmux.home}/cache/hopwise/clip.txt`, "utf8")).toBe(expected);
  });

  it("T13: takes a paste as text, and shows no code of keys, pastes or the mouse", () => {
    const tmux = started({}, "--mouse");
    tmux.keys("/");
    tmux.command("set-buffer", "effect ==\ndnat");
    tmux.command("paste-buffer", "-p", "-t", "t");
    tmux.waitFor((screen) => screen.includes("/ effect == dnat"));
    expect(tmux.screen()).not.toContain("1 of");
    tmux.keys("Escape");
    tmux.waitFor((screen) => !screen.includes("/ effect"));
    tmux.keys("F5");
    tmux.type("\u001b[<65;10;6M\u001b[<65;10;6M");
    tmux.waitFor(at(3));
    tmux.type("\u001b[<0;10;6M");
    tmux.waitFor(at(2));
    expect(tmux.screen()).not.toMatch(/\[200~|\[<|\[15~|65;10/);
  });

  it("T14: help lists every key of the hint row, searches, and closes", () => {
    const tmux = started({ columns: 120, rows: 40 });
    const hints = tmux.rows()[39] ?? "";
    const keys = [...hints.replace(/^ \w+: /, "").matchAll(/(\S+) [a-z]+(?: [a-z]+)*/g)].flatMap(
      ([, shown = ""]) => (shown === "/" ? [shown] : shown.split("/")),
    );
    expect(keys).toContain("j");
    tmux.keys("?");
    tmux.waitFor((screen) => screen.includes("KEYS OF THIS SCREEN (trace)"));
    let help = "";
    for (let page = 0; page < 6; page++) {
      help += tmux.screen();
      tmux.keys("PageDown");
    }
    for (const key of keys)
      expect(help, key).toMatch(new RegExp(`[║│ ]  ${key.replaceAll(/[[\]{}?/]/g, "\\$&")} `));
    tmux.keys("/");
    tmux.type("veth");
    tmux.keys("Enter");
    tmux.waitFor((screen) => screen.includes("/ veth"));
    tmux.keys("?");
    tmux.waitFor((screen) => screen.includes("Steps") && !screen.includes("KEYS OF"));
    tmux.keys(":pods", "Enter");
    tmux.waitFor((screen) => screen.includes("NAMESPACE") && screen.includes("web-0"));
    tmux.keys("?");
    tmux.waitFor((screen) => screen.includes("KEYS OF THIS SCREEN (table)"));
    tmux.keys("q", "q");
    tmux.waitFor((screen) => screen.includes("Steps"));
  });

  it("T15: tells the steps in sentences, without any code, in the linear mode", () => {
    const output = execFileSync(
      "bash",
      ["-c", `printf 'next\\nquit\\n' | HOPWISE_PLAIN=1 "$0" "$1" tui`, process.execPath, program],
      { encoding: "utf8" },
    );
    expect(output).not.toContain("\u001b");
    expect(output).toMatch(/^Step 1 of \d+\. /m);
    expect(output).toMatch(/next, prev, change, why, chain, state, find, quit > Step 2 of \d+\. /);
  });

  it("T16: answers keys within the budget at three sizes with 5,000 steps", () => {
    const busy = slowness();
    const script = fileURLToPath(new URL("../../../scripts/bench-tui.mjs", import.meta.url));
    const output = execFileSync(process.execPath, [script, "--json", dirname(dirname(program))], {
      encoding: "utf8",
    });
    const rows = JSON.parse(output) as readonly {
      readonly size: string;
      readonly steps: number;
      readonly p95: number;
      readonly budget: number;
      readonly flood: number;
    }[];
    expect(rows.map(({ size }) => size)).toEqual(["80x24", "120x40", "200x50"]);
    for (const { size, steps: count, p95, budget, flood } of rows) {
      expect(count).toBeGreaterThanOrEqual(5000);
      expect(p95, `p95 at ${size}`).toBeLessThan(budget * busy);
      expect(flood, `200 keys at ${size}`).toBeLessThan(150 * busy);
    }
  });

  it("draws nothing into a pipe: it says what to use", () => {
    const tmux = new Tmux();
    open = tmux;
    tmux.shell(`${process.execPath} ${program} tui | cat; echo code \${PIPESTATUS[0]}`);
    tmux.waitFor((screen) => screen.includes("code 2"), 20);
    expect(tmux.screen()).toContain("hopwise trace SRC DST");
  });
});
