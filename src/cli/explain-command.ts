import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import { DROP_REASON_TEXTS } from "../view/drop-reasons.js";
import { OUTCOMES } from "../view/outcomes.js";
import type { Streams } from "./streams.js";

/** `hopwise explain REF`: an outcome, or a reason that the kernel gives for a drop. */
export function explainCommand(ref: string | undefined, streams: Streams): number {
  const outcomes = Object.entries(OUTCOMES);
  const reasons = Object.entries(DROP_REASON_TEXTS);
  if (ref === undefined) {
    const width = Math.max(...[...outcomes, ...reasons].map(([name]) => name.length));
    streams.out(
      `OUTCOMES\n${outcomes.map(([name, { means }]) => `  ${name.padEnd(width)}  ${means}\n`).join("")}`,
    );
    streams.out(
      `DROP REASONS (hopwise explain NAME tells more)\n${reasons.map(([name, { condition }]) => `  ${name.padEnd(width)}  ${condition}\n`).join("")}`,
    );
    return 0;
  }
  const name = ref
    .toUpperCase()
    .replace(/^REPLY-/, "")
    .replace(/^SKB_DROP_REASON_/, "");
  const outcome = outcomes.find(([known]) => known === name);
  if (outcome !== undefined) {
    streams.out(`${outcome[0]}: ${outcome[1].means}.\nNEXT   ${outcome[1].next}.\n`);
    return 0;
  }
  const reason = reasons.find(([known]) => known === name);
  if (reason !== undefined) {
    streams.out(
      `${reason[0]}: ${reason[1].condition}\nCAUSE  ${reason[1].cause}\nLOOK   ${reason[1].look}\n`,
    );
    return 0;
  }
  const near = nearest(
    name,
    [...outcomes, ...reasons].map(([known]) => known),
  );
  throw new UserError("EXPLAIN_UNKNOWN", `nothing is called "${ref}"`, {
    help:
      near === undefined
        ? "hopwise explain lists all outcomes and drop reasons"
        : `did you mean ${near}?`,
  });
}
