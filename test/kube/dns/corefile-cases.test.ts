import { expect, test } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import { parseCorefile } from "../../../src/kube/dns/corefile.js";
import { setUpBlocks } from "../../../src/kube/dns/server-blocks.js";
import { golden, type CorefileCase } from "./golden.js";

/** Cases whose recorded text is only the beginning of the real one, and why. */
const prefixes: Readonly<Record<string, string>> = {
  "corefile-kubernetes-15": "recorded without the selector and the reason that follow",
};

/** What CoreDNS says to a Corefile; undefined when it starts. */
function errorOf(item: CorefileCase): string | undefined {
  const world = {
    files: new Map(Object.entries(item.files ?? {})),
    env: new Map(Object.entries(item.env ?? {})),
  };
  try {
    setUpBlocks(parseCorefile(item.corefile, "Corefile", world), world);
    return undefined;
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}

function agrees(item: CorefileCase, got: string | undefined): boolean {
  const { ok, error, errorContains } = item.expect;
  if (ok === true || got === undefined) return ok === true && got === undefined;
  if (errorContains !== undefined) return got.includes(errorContains);
  return prefixes[item.id] === undefined ? got === error : got.startsWith(error ?? "");
}

test("every recorded Corefile is taken or refused in CoreDNS's words", () => {
  const failures: string[] = [];
  const figures = new Map<string, [number, number]>();
  for (const item of golden.corefileCases) {
    const got = errorOf(item);
    const passed = agrees(item, got);
    const [run, good] = figures.get(item.plugin ?? "parser") ?? [0, 0];
    figures.set(item.plugin ?? "parser", [run + 1, good + (passed ? 1 : 0)]);
    if (!passed)
      failures.push(
        `${item.id}\n   got ${JSON.stringify(got)}\n  want ${JSON.stringify(item.expect)}`,
      );
  }
  const lines = [...figures].map(([plugin, [run, good]]) => `${plugin} ${good}/${run}`);
  console.log(`recorded Corefiles by plugin: ${lines.join(", ")}`);
  expect(failures.join("\n")).toBe("");
  expect(golden.corefileCases).toHaveLength(341);
});
