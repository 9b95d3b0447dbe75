import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hopwise } from "./run.js";

const patch = join(mkdtempSync(join(tmpdir(), "hopwise-patch-")), "web.yaml");
writeFileSync(
  patch,
  `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nothing-to-web, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
`,
);

describe("--patch", () => {
  it("traces in the world with the patch applied, and says so first", async () => {
    const line = "trace shop/api-0 shop/web-0:8080 -w demo:shop -q";
    const before = await hopwise(line);
    const after = await hopwise(`${line} --patch ${patch}`);
    expect(before.out).toContain("DELIVERED");
    expect(after.out.split("\n")[0]).toBe(`what if: ${patch} applied`);
    expect(after.out).toContain("DENIED");
    expect([before.exit, after.exit]).toEqual([0, 1]);
  });

  it("asks why in the world with the patch applied", async () => {
    const run = await hopwise(`why shop/api-0 shop/web-0:8080 -w demo:shop --patch ${patch}`);
    expect(run.out.split("\n")[0]).toBe(`what if: ${patch} applied`);
    expect(run.out).toContain("shop/nothing-to-web");
    expect(run.exit).toBe(1);
  });

  it("prints only the pairs that change, with the policy that changes them", async () => {
    const run = await hopwise(`matrix -n shop -w demo:shop --patch ${patch}`);
    const [first, ...lines] = run.out.trimEnd().split("\n");
    expect(first).toBe(`what if: ${patch} applied`);
    expect(lines.at(-1)).toMatch(/^0 pairs open, [1-9]\d* close$/);
    for (const line of lines.slice(0, -1)) {
      expect(line).toMatch(/^- shop\/\S+ -> shop\/web-\d /);
      expect(line).toContain("shop/nothing-to-web");
    }
    expect(run.exit).toBe(1);
  });
});
