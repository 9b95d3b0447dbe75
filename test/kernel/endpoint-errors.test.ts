import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { errorCases, errorNetwork } from "../inet/endpoint-errors.js";
import { missingJudge } from "./judge.js";
import { run } from "./process.js";

const golden = new URL("../golden/endpoint-errors.json", import.meta.url);
const missing = missingJudge();

/** `HOPWISE_RECORD=1` writes what the kernel says to test/golden, which test/inet/endpoint-errors.test.ts compares with. */
it.skipIf(missing !== undefined)(
  `the kernel tells programs of ICMP errors what was recorded, in ${errorCases.length} cases`,
  async () => {
    const names = { program: `hwe${process.pid}a`, peer: `hwe${process.pid}b` };
    const all = Object.values(names);
    try {
      for (const name of all) await run("ip", ["netns", "add", name]);
      await run(
        "ip",
        `link add eth0 netns ${names.program} type veth peer name eth0 address 02:00:00:00:00:02 netns ${names.peer}`.split(
          " ",
        ),
      );
      for (const [ns, command] of errorNetwork)
        await run("ip", ["netns", "exec", names[ns], ...command.split(" ")]);
      // Links come up a little late.
      await new Promise((resolve) => setTimeout(resolve, 300));
      const agent = new URL("endpoint_errors_agent.py", import.meta.url).pathname;
      const told: string[] = JSON.parse(
        await run("python3", [agent], JSON.stringify({ ...names, cases: errorCases })),
      );
      const results = Object.fromEntries(
        errorCases.map((one, index) => [
          `IPv${one.family} ${one.type}/${one.code} ${one.call}`,
          told[index] ?? "",
        ]),
      );
      const made = "Linux 6.18; npx vitest run test/kernel/endpoint-errors.test.ts";
      if (process.env["HOPWISE_RECORD"] === "1")
        writeFileSync(golden, `${JSON.stringify({ made, results }, undefined, 1)}\n`);
      expect(results).toEqual(JSON.parse(readFileSync(golden, "utf8")).results);
    } finally {
      for (const name of all) await run("sh", ["-c", `ip netns del ${name} 2>/dev/null || true`]);
    }
  },
);
