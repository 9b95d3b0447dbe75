import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
// Loaded here, so that no test waits for it.
import "../../../src/cli/run-command.js";
import { hopwise } from "../../cli/run.js";

it("a scenario is a shell script too, with each step's commands and what is to be sent", async () => {
  const { out, exit } = await hopwise("run demo:stale-udp -o sh");
  expect(exit).toBe(0);
  const lines = out.split("\n");
  const step = (number: number): readonly string[] => {
    const from = lines.findIndex((line) => line.startsWith(`# step ${number},`));
    const to = lines.findIndex((line) => line.startsWith(`# step ${number + 1},`));
    return lines.slice(from, to < 0 ? undefined : to);
  };
  expect(step(1)).toContain("ip netns add shop.echo-0");
  expect(step(2)).toEqual([
    "# step 2, 0.000 s: open client: UDP shop/web-0 -> shop/echo:7",
    "# send now: UDP from shop/web-0 port 40000 to 10.96.44.70:7",
    "",
  ]);
  expect(step(5)).toContain("ip netns del shop.echo-0");
  expect(step(5)).toContain(
    "ip netns exec worker-1 conntrack -D -p udp --orig-dst 10.96.44.70 --dport 7 --reply-src 10.244.2.8",
  );
  expect(out).toContain("  ip netns del shop.echo-1 2>/dev/null || true");
  expect(spawnSync("sh", ["-n"], { input: out, encoding: "utf8" }).stderr).toBe("");
});
