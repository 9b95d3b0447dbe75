import { expect, test } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import { golden, runCase, type Expected, type Outcome, type QueryCase } from "./golden.js";

/** Cases that are not run, by name, and why. */
const excluded: Readonly<Record<string, string>> = {};

function differences(item: QueryCase, outcome: Outcome): string[] {
  const { expect: wanted } = item;
  if (outcome.unknown !== undefined) return [`unknown: ${outcome.unknown}`];
  const found: string[] = [];
  const check = (what: string, got: unknown, want: unknown): void => {
    if (JSON.stringify(got) !== JSON.stringify(want)) {
      found.push(`${what}:\n   got ${JSON.stringify(got)}\n  want ${JSON.stringify(want)}`);
    }
  };
  const [reply] = outcome.replies;
  if (wanted.noResponse === true) check("replies", outcome.replies, []);
  else if (reply === undefined) found.push("no reply");
  else compareReply(reply, wanted, wanted.ordered === true, check);
  check(
    "number of replies",
    outcome.replies.length,
    wanted.noResponse === true ? 0 : 1 + (wanted.extraReplies ?? 0),
  );
  if (wanted.log !== undefined) {
    check("log lines", outcome.log.length, wanted.log.length);
    for (const [index, line] of wanted.log.entries()) {
      if (!wildcard(line).test(outcome.log[index] ?? "")) check("log", outcome.log[index], line);
    }
  }
  if (wanted.upstreamQueries !== undefined) {
    check(
      "upstream queries",
      outcome.upstreamQueries.toSorted(),
      wanted.upstreamQueries.toSorted(),
    );
  }
  return found;
}

function compareReply(
  reply: Expected,
  wanted: Expected,
  ordered: boolean,
  check: (what: string, got: unknown, want: unknown) => void,
): void {
  check("rcode", reply.rcode, wanted.rcode);
  check("flags", [...reply.flags].toSorted(), [...wanted.flags].toSorted());
  check("question", reply.question, wanted.question);
  for (const section of ["answer", "authority", "additional"] as const) {
    const sorted = (list: readonly string[]): string[] =>
      ordered ? list.map(noSerial) : list.map(noSerial).toSorted();
    check(section, sorted(reply[section]), sorted(wanted[section]));
  }
  const edns =
    wanted.edns === undefined
      ? undefined
      : { size: wanted.edns.size, do: wanted.edns.do ?? false, options: wanted.edns.options ?? [] };
  check("edns", reply.edns, edns);
}

/** SOA serials come from a clock and are not compared. */
function noSerial(record: string): string {
  return record.replace(/^(\S+ \d+ \S+ SOA \S+ \S+) \d+/, "$1 SERIAL");
}

function wildcard(line: string): RegExp {
  const parts = line
    .split(/<[a-z]+>/)
    .map((part) => part.replaceAll(/[\\^$.|?*+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}

let run = 0;
const figures = new Map<string, { run: number; passed: number }>();
const failures: string[] = [];
const filter = process.env["DNS_CASES"];

for (const item of golden.cases) {
  if (excluded[item.id] !== undefined || (filter !== undefined && !item.id.startsWith(filter)))
    continue;
  run++;
  let problems: string[];
  try {
    problems = differences(item, runCase(item));
  } catch (error) {
    problems = [
      error instanceof UserError ? `UserError: ${error.message}` : String((error as Error).stack),
    ];
  }
  for (const tag of item.tags) {
    const figure = figures.get(tag) ?? { run: 0, passed: 0 };
    figures.set(tag, {
      run: figure.run + 1,
      passed: figure.passed + (problems.length === 0 ? 1 : 0),
    });
  }
  if (problems.length > 0)
    failures.push(`${item.id} (${item.query.name} ${item.query.type}): ${problems.join("\n ")}`);
}

test("every recorded query is answered as CoreDNS answered it", () => {
  const lines = [...figures].map(([tag, { run, passed }]) => `${tag} ${passed}/${run}`);
  const skipped = Object.entries(excluded).map(([id, why]) => `  left out: ${id}: ${why}`);
  console.log(`recorded CoreDNS queries by plugin: ${lines.join(", ")}\n${skipped.join("\n")}`);
  expect(failures.join("\n")).toBe("");
  if (filter === undefined) expect(run + Object.keys(excluded).length).toBe(789);
});
