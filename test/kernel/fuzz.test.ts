import { describe, expect, it } from "vitest";
import { fuzz } from "../fuzz-kernel/run.js";
import { missingJudge } from "./judge.js";

/** Seeds of the fixed batch; more of them: `npm run fuzz:kernel`. */
const batch = { seed: 1, count: 20 };

describe.runIf(missingJudge() === undefined)("random labs", () => {
  it("are alike on the real kernel and in the emulator, for a fixed batch of seeds", async () => {
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const result = await fuzz({ ...batch, hands: 6, out: undefined, log, devices: false });
    expect(result.differences, lines.join("\n")).toEqual([]);
    expect(result.unknown).toEqual([]);
    expect(result.labs).toBe(batch.count);
  }, 300_000);
});
