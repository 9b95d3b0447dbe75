import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hopwise } from "./run.js";

function has(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function file(name: string, text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "hopwise-cli-")), name);
  writeFileSync(path, text);
  return path;
}

describe("usage", () => {
  it.each([
    ["trce a b", "unknown command 'trce'", 'did you mean "trace"?'],
    ["trace a", "missing required argument 'dst'", "hopwise help trace lists its words"],
    ["trace a b --sede 3", "unknown option '--sede'", 'did you mean "--seed"?'],
    ["trace a b --seed x", "whole number", "hopwise help trace"],
    ["trace shop/web-0 shop/api -w demo:shpo", 'no world "demo:shpo"', "did you mean demo:shop?"],
    ["trace shop/web-0 shop/api -w ./nowhere", 'no file or folder "./nowhere"', "demo:shop"],
    [
      "trace shop/web-0 shop/api -w demo:shop --expect DROPED",
      'no outcome "DROPED"',
      "did you mean DROPPED?",
    ],
    ["trace shop/web-0 shop/api -w demo:shop --step 999", "there is no step 999", "steps 1 to"],
    ["show podz -w demo:shop", 'show does not know "podz"', 'did you mean "pods"?'],
    ["show rules -w demo:shop", "rules are those of one node or pod", "hopwise show rules cp-1"],
    ["explain DROPED", 'nothing is called "DROPED"', "did you mean DROPPED?"],
  ])("%s ends with 2, what is wrong and what to do", async (line, what, help) => {
    const run = await hopwise(line);
    expect(run.exit).toBe(2);
    expect(run.out).toBe("");
    expect(run.err).toContain(what);
    expect(run.err).toContain(help);
    expect(run.err).not.toContain("    at ");
  });

  it("answers an error as JSON when JSON was asked for", async () => {
    const run = await hopwise("trace shop/wbe-0 shop/api -w demo:shop --json");
    expect(run.exit).toBe(2);
    expect(JSON.parse(run.out)).toMatchObject({
      v: 1,
      kind: "Error",
      errors: [{ help: expect.stringContaining("shop/web-0") }],
    });
  });

  it("prints version and help on standard output", async () => {
    expect(await hopwise("--version")).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect((await hopwise("--help")).out).toContain("trace");
  });
});

describe("trace", () => {
  it("is one JSON document with every step, its bytes, and the lookup", async () => {
    const { out, exit } = await hopwise("trace shop/web-0 http://api.shop -w demo:shop --json");
    const trace = JSON.parse(out);
    expect(exit).toBe(0);
    expect(trace).toMatchObject({ v: 1, kind: "Trace", verdict: "DELIVERED", exit: 0 });
    expect(trace.steps.map((step: { n: number }) => step.n)).toEqual(
      trace.steps.map((_: unknown, index: number) => index + 1),
    );
    expect(trace.flow.lookup.queries).toHaveLength(4);
    const nat = trace.steps.find((step: { effect: string }) => step.effect.startsWith("DNAT"));
    expect(nat.changes).toContainEqual({ field: "ip.dst", from: "10.96.44.10", to: "10.244.2.5" });
    expect(nat.bytes).toMatch(/^[0-9a-f]{108,}$/);
  });

  it("gives one object a line with -o jsonl", async () => {
    const { out } = await hopwise("trace shop/api-1 shop/db:5432 -w demo:shop -o jsonl");
    const lines = out.trim().split("\n");
    expect(lines.length).toBeGreaterThan(20);
    expect(lines.map((line) => JSON.parse(line).n)).toEqual(lines.map((_, index) => index + 1));
  });

  it("keeps exit codes apart: 0 delivered, 1 not, 3 not certain, and --expect turns them round", async () => {
    expect((await hopwise("trace shop/api-1 shop/db:5432 -w demo:shop")).exit).toBe(0);
    expect((await hopwise("trace shop/api-0 shop/db:5432 -w demo:shop-firewall")).exit).toBe(1);
    expect((await hopwise("trace shop/web-0 http://nope.shop -w demo:shop")).exit).toBe(3);
    expect(
      (await hopwise("trace shop/api-0 shop/db:5432 -w demo:shop-firewall --expect DROPPED")).exit,
    ).toBe(0);
    expect(
      (await hopwise("trace shop/api-1 shop/db:5432 -w demo:shop --expect DROPPED")).exit,
    ).toBe(1);
  });

  it("is DENIED when a NetworkPolicy selects the pod and no rule allows, and names it", async () => {
    const policy = file(
      "policy.yaml",
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: lock, namespace: shop}\nspec: {podSelector: {matchLabels: {app: web}}}\n",
    );
    const run = await hopwise(`trace shop/api-1 shop/web:80 -w demo:shop -w ${policy}`);
    expect(run.out).toContain("DENIED  ingress of shop/web-0: no rule of shop/lock allows it");
    expect(run.exit).toBe(1);
  });

  it("is UNKNOWN, never delivered, when a policy is there that is not turned into rules", async () => {
    const policy = file(
      "admin.yaml",
      "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: guard}\nspec:\n  priority: 10\n  subject: {namespaces: {}}\n  ingress:\n    - {action: Deny, from: [{namespaces: {}}]}\n",
    );
    const run = await hopwise(`trace shop/api-1 shop/web:80 -w demo:shop -w ${policy}`);
    expect(run.out).toContain("AdminNetworkPolicy guard");
    expect(run.exit).toBe(3);
  });

  it.runIf(has("tshark"))(
    "writes a capture that tshark reads, with a comment at each packet",
    async () => {
      const path = file("trace.pcapng", "");
      const run = await hopwise(
        `trace shop/api-1 shop/db:5432 -w demo:shop -o pcapng --out ${path}`,
      );
      expect(run.exit).toBe(0);
      const comments = execFileSync("tshark", ["-r", path, "-T", "fields", "-e", "frame.comment"], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
      const lines = comments.trim().split("\n");
      expect(lines[0]).toMatch(/^step 1 route/);
      expect(lines.every((line) => line.startsWith("step "))).toBe(true);
      expect(comments).toContain("DNAT dst 10.96.44.20:5432 => 10.244.2.6:5432");
      // A packet for each link and rewrite, not one for each rule that was looked at.
      const kinds = lines.map((line) => line.split(" ")[2]);
      expect(kinds.join(" ")).toBe(
        "route tx nat br_netfilter br_netfilter tx socket tx conntrack tx socket",
      );
      expect(run.err).not.toContain("VXLAN");
    },
  );
});

describe("why, matrix and test", () => {
  it("names the policy, the clause that failed and the smallest fix", async () => {
    const run = await hopwise("why batch/job-0 shop/db:5432 -w demo:shop");
    expect(run.exit).toBe(1);
    expect(run.out).toContain("policies/db.yaml:12:9  from podSelector app=api, port 5432");
    expect(run.out).toContain("opens 1 of 42 pod pairs");
    expect((await hopwise("why shop/api-0 shop/db:5432 -w demo:shop")).exit).toBe(0);
  });

  it("prints who reaches whom, and only what changes with --diff", async () => {
    expect((await hopwise("matrix -w demo:shop -n shop,batch")).out).toContain(
      "16 pairs x declared ports: 8 delivered, 8 denied",
    );
    expect(JSON.parse((await hopwise("matrix -w demo:shop --json")).out)).toMatchObject({
      v: 1,
      kind: "Matrix",
    });
    const same = await hopwise("matrix -w demo:shop --diff demo:shop");
    expect(same).toMatchObject({ exit: 0, out: "no pair changes\n" });
    expect((await hopwise("matrix -w demo:shop --diff demo:shop-firewall")).exit).toBe(1);
  });

  it.each(["text", "junit", "tap", "github"])(
    "reports tests as %s and fails when one fails",
    async (format) => {
      const run = await hopwise(`test test/cli/reach.test.yaml -o ${format}`);
      expect(run.exit).toBe(1);
      expect(run.out).toContain("web reaches db");
    },
  );
});

describe("show", () => {
  it.each([
    ["show nodes -w demo:shop", /worker-1 +192\.168\.10\.11 +10\.244\.1\.0\/24/],
    ["show pods -w demo:shop", /shop +web-0 +yes +10\.244\.1\.5 +worker-1 +20-shop\.yaml/],
    ["show services -w demo:shop", /shop +web +NodePort +10\.96\.44\.30 +80:30080\/TCP/],
    ["show endpoints shop/api -w demo:shop", /10\.244\.2\.5 +http=8080 +yes +api-1 +worker-2/],
    [
      "show policies -w demo:shop",
      /shop +db-from-api +NetworkPolicy +app=db +ingress +1 +policies\/db\.yaml:\d/,
    ],
    ["show routes worker-1 -w demo:shop", /10\.244\.2\.0\/24 via 192\.168\.10\.12 dev eth0/],
    [
      "show rules worker-1 -w demo:shop",
      /-A KUBE-SEP-NWRKAEDWYKZEVMED -p tcp .* -j DNAT --to-destination 10\.244\.2\.5:8080/,
    ],
    ["show dns shop/web-0 -w demo:shop", /nameserver 10\.96\.0\.10/],
    ["show env shop/web-0 -w demo:shop", /^KUBERNETES_SERVICE_HOST=10\.96\.0\.1$/m],
    ["show ipam -w demo:shop", /worker-2 +10\.244\.2\.0\/24 +shop\/api-1 +10\.244\.2\.5/],
  ])("%s", async (line, expected) => {
    const run = await hopwise(line);
    expect(run.err).toBe("");
    expect(run.out).toMatch(expected);
    expect(JSON.parse((await hopwise(`${line} --json`)).out)).toMatchObject({ v: 1, kind: "Show" });
  });
});

describe("fmt", () => {
  it("finds the kind by content and prints as the real tool would", async () => {
    const rules = file("x", "*filter\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n");
    expect((await hopwise(`fmt ${rules}`)).out).toContain(
      "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
    );
    const corefile = file("y", ".:53 {\n errors\n}\n");
    expect((await hopwise(`fmt ${corefile}`)).out).toContain(".:53 {\n    errors\n}");
  });

  it("--check tells by its exit code and prints nothing on standard output", async () => {
    const rules = file("x", "*filter\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n");
    expect(await hopwise(`fmt ${rules} --check`)).toMatchObject({ exit: 1, out: "" });
    const clean = file("x", (await hopwise(`fmt ${rules}`)).out);
    expect(await hopwise(`fmt ${clean} --check`)).toMatchObject({ exit: 0, out: "" });
  });

  it("shows an unknown match with a caret and the nearest word", async () => {
    const rules = file("x", "*filter\n-A INPUT -m markk --mark 1 -j DROP\nCOMMIT\n");
    const run = await hopwise(`fmt ${rules}`);
    expect(run.exit).toBe(2);
    expect(run.err).toMatch(/:2:13: error: .*markk[\s\S]*\^\^\^\^\^[\s\S]*did you mean "mark"\?/);
  });
});

describe("check", () => {
  it("lists what a world holds and what was assumed", async () => {
    expect((await hopwise("check demo:shop")).out).toContain(
      "ok  3 nodes, 7 pods, 5 services, 2 policies",
    );
    const pod = file(
      "pod.yaml",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n",
    );
    const run = await hopwise(`check ${pod}`);
    expect(run.out).toContain("nodes assumed");
    expect(JSON.parse((await hopwise(`check ${pod} --json`)).out).notes.length).toBeGreaterThan(3);
  });

  it.each([
    [
      "a folder without anything",
      "kind: nothing\n",
      'hello: "world"\n',
      /no Kubernetes objects and no lab/,
    ],
    [
      "broken YAML",
      "",
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n   labels: {}\n",
      /YAML: bad indentation/,
    ],
  ])("refuses %s with a place", async (_, __, text, message) => {
    const run = await hopwise(`check ${file("a.yaml", text)}`);
    expect(run.exit).toBe(2);
    expect(run.err).toMatch(/a\.yaml:\d+:\d+: error: /);
    expect(run.err).toMatch(message);
  });
});
