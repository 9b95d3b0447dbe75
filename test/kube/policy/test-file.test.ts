import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { policyProbe, runTests, type TestRun } from "../../../src/kube/policy/run-tests.js";
import { parseTestFile } from "../../../src/kube/policy/test-file.js";
import { testGithub, testJunit, testTap, testText } from "../../../src/kube/policy/test-report.js";
import { shop } from "./shop.js";

const text = `world: demo:shop
tests:
  - {name: web reaches api, from: shop/web-0, to: "shop/api:80", expect: delivered}
  - {name: job must not reach db, from: batch/job-0, to: "shop/db:5432", expect: denied}
  - {name: web reaches db, from: shop/web-0, to: "shop/db:5432", expect: delivered}
`;

function run(given: string): TestRun {
  return runTests(parseTestFile({ file: "reach.test.yaml", text: given }), policyProbe(shop()));
}

/** The messages of all errors, with their places. */
function errorsOf(given: string): readonly string[] {
  try {
    run(given);
  } catch (error) {
    const all =
      error instanceof UserErrors ? error.errors : error instanceof UserError ? [error] : [];
    if (all.length === 0) throw error;
    return all.map(
      ({ message, details: { place, help } }) =>
        `${place?.line}:${place?.column} ${message} | ${help ?? ""}`,
    );
  }
  return [];
}

describe("reachability tests", () => {
  it("print S9 of the UX specification", () => {
    expect(testText(run(text)).join("\n")).toBe(`ok    reach.test.yaml:3   web reaches api
ok    reach.test.yaml:4   job must not reach db      denied by shop/db-from-api
FAIL  reach.test.yaml:5   web reaches db             expected delivered, got DENIED at shop/db-0 ingress
      policies/db.yaml:12:9 allows only app=api; run: hopwise why shop/web-0 shop/db:5432
3 tests: 2 passed, 1 failed, 0 unknown`);
  });

  it("write JUnit with the reason in the body", () => {
    expect(testJunit(run(text), { times: [1, 2, 4] })).toEqual([
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuite name="reach.test.yaml" tests="3" failures="1" errors="0" skipped="0" time="0.007">',
      '  <testcase classname="reach.test.yaml" name="web reaches api" file="reach.test.yaml" time="0.001"/>',
      '  <testcase classname="reach.test.yaml" name="job must not reach db" file="reach.test.yaml" time="0.002"/>',
      '  <testcase classname="reach.test.yaml" name="web reaches db" file="reach.test.yaml" time="0.004">',
      '    <failure type="DENIED" message="expected delivered, got DENIED">policies/db.yaml:12:9 allows only app=api; run: hopwise why shop/web-0 shop/db:5432</failure>',
      "  </testcase>",
      "</testsuite>",
    ]);
  });

  it("give repeated JUnit names a number, and escape what XML would read", () => {
    const twice = `tests:\n- &a {name: 'a < "b" & c', from: shop/web-0, to: "shop/api:80", expect: delivered}\n- *a\n`;
    const names = testJunit(run(twice)).flatMap(
      (line) => / name="([^"]*)" file/.exec(line)?.[1] ?? [],
    );
    expect(names).toEqual(["a &lt; &quot;b&quot; &amp; c", "a &lt; &quot;b&quot; &amp; c (2)"]);
  });

  it("write TAP and GitHub annotations", () => {
    expect(testTap(run(text))).toEqual([
      "TAP version 13",
      "1..3",
      "ok 1 - web reaches api",
      "ok 2 - job must not reach db",
      "not ok 3 - web reaches db",
      "  ---",
      '  message: "expected delivered, got DENIED at shop/db-0 ingress"',
      '  at: "reach.test.yaml:5"',
      "  reasons:",
      '    - "policies/db.yaml:12:9 allows only app=api; run: hopwise why shop/web-0 shop/db:5432"',
      "  ...",
    ]);
    expect(testGithub(run(text))).toEqual([
      "::error file=reach.test.yaml,line=5,title=web reaches db::expected delivered, got DENIED at shop/db-0 ingress%0Apolicies/db.yaml:12:9 allows only app=api; run: hopwise why shop/web-0 shop/db:5432",
    ]);
  });

  it("place every mistake of a file, and say what was meant", () => {
    expect(
      errorsOf(
        "tests:\n- {from: shop/web-0, to: shop/api, expct: delivered}\n- {from: shop/web-0, to: x, expect: delvered, proto: tpc}\n",
      ),
    ).toEqual([
      '2:36 unknown field "expct" | did you mean "expect"?',
      '2:3 the test has no "expect" | expect is one of delivered, left-cluster, denied, dropped, rejected, no-route, no-neighbour, no-endpoint, no-name, not-listening, loop, unknown',
      '3:37 unknown outcome "delvered" | did you mean "delivered"?',
      '3:54 unknown protocol "tpc" | proto is one of tcp, udp, sctp, icmp',
    ]);
  });

  it("place a name that does not exist where it stands in the file", () => {
    expect(errorsOf("tests:\n- {from: shop/wbe-0, to: shop/api, expect: delivered}\n")).toEqual([
      '2:10 no pod, service or node "shop/wbe-0" | did you mean shop/web-0?  hopwise show pods lists all 7',
    ]);
    expect(
      errorsOf("tests:\n- {from: shop/web-0, to: 'shop/api:81', expect: delivered}\n"),
    ).toEqual(["2:26 Service shop/api has no TCP port 81 | its TCP ports are 80 (http)"]);
  });

  it("say NO-ENDPOINT for a Service without backends, and PARTLY where backends differ", () => {
    const [test] = parseTestFile({ file: "t", text }).tests;
    if (test === undefined) throw new Error("no test");
    expect(policyProbe({ ...shop(), endpointSlices: [] })(test)).toMatchObject({
      outcome: "NO-ENDPOINT",
      reasons: ["shop/api:80 has no ready endpoint"],
    });
    const policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: near, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.244.1.0/24}}]}]}
`;
    expect(policyProbe(shop([{ file: "p.yaml", text: policy }]))(test)).toMatchObject({
      outcome: "PARTLY",
      at: "shop/web-0 egress",
      reasons: [
        "p.yaml:4:80 allows only ipBlock 10.244.1.0/24; run: hopwise why shop/web-0 shop/api:80",
        "egress of shop/web-0 does not reach UDP 53 of the DNS pods: names will not resolve",
      ],
    });
  });

  it("never throws anything but errors for the user", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.constant(text).chain((base) => fc.nat(base.length).map((at) => base.slice(0, at))),
        ),
        (given) => {
          try {
            parseTestFile({ file: "t", text: given });
          } catch (error) {
            expect(error instanceof UserError || error instanceof UserErrors).toBe(true);
          }
        },
      ),
    );
  });
});

describe("several test files", () => {
  const runs = [
    run("tests:\n- {from: shop/web-0, to: 'shop/api:80', expect: delivered}\n"),
    run(text),
  ];

  it("are one JUnit document", () => {
    const lines = testJunit(runs);
    expect(lines.filter((line) => line.startsWith("<?xml"))).toHaveLength(1);
    expect(lines[1]).toBe("<testsuites>");
    expect(lines.filter((line) => line.startsWith("<testsuite "))).toHaveLength(2);
    expect(lines.at(-1)).toBe("</testsuites>");
  });

  it("are one TAP stream that counts on", () => {
    const lines = testTap(runs);
    expect(lines.slice(0, 2)).toEqual(["TAP version 13", "1..4"]);
    expect(
      lines.filter((line) => /^(not )?ok/.test(line)).map((line) => /\d+/.exec(line)?.[0]),
    ).toEqual(["1", "2", "3", "4"]);
  });
});
