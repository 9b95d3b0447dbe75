import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseLab } from "../../src/lab/lab-file.js";
import { compareLab } from "./compare.js";
import { missingJudge } from "./judge.js";
import type { ProbeSpec } from "./observation.js";

const folder = new URL("../../topologies/labs/", import.meta.url);
/** A part of the labs, "1/2" the first of two: what CI has time for. All without. */
const [part = 1, parts = 1] = (process.env["HOPWISE_LABS"] ?? "1/1").split("/").map(Number);
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml"))
  .toSorted()
  .filter((_, index) => index % parts === part - 1);
const missing = missingJudge();
const mustJudge = process.env["CI"] !== undefined && process.env["CI"] !== "";

/** How long a probe's program waits, in seconds: two retransmissions of a SYN are seen. */
const limit = 2.6;

describe("labs on the real kernel and in the emulator", () => {
  it.runIf(missing !== undefined)(`have their judge (${missing ?? "present"})`, (context) => {
    if (mustJudge) expect(missing, "CI needs the real kernel").toBeUndefined();
    else context.skip(`no judge: ${missing ?? ""}`);
  });

  for (const file of missing === undefined ? files : []) {
    it.concurrent(`${file.replace(".yaml", "")} sends the same frames, counts the same packets and tells programs the same`, async ({
      expect: told,
    }) => {
      const lab = parseLab(file, readFileSync(new URL(file, folder), "utf8"));
      const probes: ProbeSpec[] = lab.probes.map((probe) => ({
        ...probe,
        limit: probe.wait ?? limit,
      }));
      await compareLab(told, lab, probes);
    });
  }
});
