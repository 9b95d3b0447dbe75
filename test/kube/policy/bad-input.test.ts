import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { loadWorld } from "../../../src/lab/world.js";
import { checkWorld } from "../../../src/lab/check.js";
import { hopwise } from "../../cli/run.js";

const pod =
  "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: shop, labels: {app: web}}\nspec: {containers: [{name: web, image: web, ports: [{containerPort: 8080, name: http}]}]}\n---\n";

/** A policy whose own line is the sixth of p.yaml. */
function manifest(line: string, namespace = "shop"): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: ${namespace}}\nspec:\n  podSelector: {matchLabels: {app: web}}\n  ${line}\n`;
}

/** `hopwise check` of a policy, file names without their folder. */
async function check(
  text: string,
  options = "",
): Promise<{ readonly exit: number; readonly out: string; readonly err: string }> {
  const folder = mkdtempSync(join(tmpdir(), "hopwise-policy-"));
  writeFileSync(join(folder, "a.yaml"), pod);
  writeFileSync(join(folder, "p.yaml"), text);
  const run = await hopwise(`check ${folder} ${options}`);
  const short = (printed: string): string => printed.replaceAll(`${folder}/`, "");
  return { exit: run.exit, out: short(run.out), err: short(run.err) };
}

/** The line, the place of the first letter that is wrong, a part of the message, and the advice. */
const refused: readonly (readonly [string, string, string, string])[] = [
  [
    "ingress: [{form: [{podSelector: {}}]}]",
    "6:14",
    'unknown field "form" in spec.ingress[0]',
    'did you mean "from"? Without it the rule would allow everybody.',
  ],
  [
    "podSelectr: {}",
    "6:3",
    'unknown field "podSelectr" in spec',
    'did you mean "podSelector"? Without it the policy would select every pod in namespace shop.',
  ],
  [
    "ingress: [{from: [{pods: {}}]}]",
    "6:22",
    'unknown field "pods" in spec.ingress[0].from[0]',
    "the fields here are podSelector, namespaceSelector, ipBlock",
  ],
  [
    "ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: in, values: [x]}]}}]}]",
    "6:74",
    'must be one of In, NotIn, Exists, DoesNotExist, not "in"',
    'did you mean "In"?',
  ],
  [
    "ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: In}]}}]}]",
    "6:55",
    "must be specified when `operator` is 'In' or 'NotIn'",
    "",
  ],
  [
    "ingress: [{from: [{podSelector: {matchLabels: {-a: x}}}]}]",
    "6:50",
    'Invalid value: "-a": name part must consist of',
    "",
  ],
  [
    "ingress: [{ports: [{port: 90, endPort: 80}]}]",
    "6:42",
    "endPort: Invalid value: 80: must be greater than or equal to `port`",
    "port is 90",
  ],
  [
    "ingress: [{ports: [{port: http, endPort: 80}]}]",
    "6:44",
    "may not be specified when `port` is non-numeric",
    "a range has a number at both ends; a name stands alone",
  ],
  [
    "ingress: [{ports: [{port: 80, protocol: tcp}]}]",
    "6:43",
    'must be one of TCP, UDP, SCTP, not "tcp"',
    'did you mean "TCP"?',
  ],
  [
    "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/64']}}]}]",
    "6:59",
    "must be a strict subset of `cidr`",
    "fd00::/64 is IPv6 and 10.0.0.0/8 is IPv4",
  ],
  [
    "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]",
    "6:59",
    'Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
    "cidr is 10.0.0.0/8",
  ],
  [
    "ingress: [{from: [{ipBlock: {cidr: 10.0.0.3}}]}]",
    "6:38",
    "must be a valid CIDR value",
    "a single address is written 10.0.0.3/32",
  ],
];

describe("a policy that the API server refuses", () => {
  it.each(refused)("%s", async (line, place, message, help) => {
    const { exit, out, err } = await check(manifest(line));
    expect(exit).toBe(2);
    expect(out).toBe("");
    const [first = "", source = "", caret = "", advice = ""] = err.split("\n");
    expect(first).toContain(`p.yaml:${place}: error: NetworkPolicy shop/p: `);
    expect(first).toContain(message);
    const column = Number(place.split(":")[1]);
    expect(source).toContain(line.slice(column - 3, column));
    expect(caret).toMatch(/^ +\| +\^+$/);
    expect(advice).toBe(help === "" ? "" : `help: ${help}`);
  });
});

describe("a policy that is taken and likely not meant", () => {
  it.each([
    [
      "ingress: [{from: [{ipBlock: {cidr: 10.1.2.3/8}}]}]",
      "shop",
      "info  NetworkPolicy shop/p: 10.1.2.3 has bits beyond /8: it means 10.0.0.0/8 [ipblock-host-bits]  (p.yaml:6:32)",
    ],
    [
      "ingress: [{}]",
      "shpo",
      "warning  NetworkPolicy shpo/p: namespace shpo has no pods; pods of namespace shop match [selects-no-pod]  (p.yaml:3:21)",
    ],
    [
      "ingress: [{ports: [{port: 80}]}]",
      "shop",
      "info  NetworkPolicy shop/p: port 80 without protocol is TCP alone [missing-protocol]  (p.yaml:6:22)",
    ],
  ])("%s", async (line, namespace, said) => {
    const { exit, out } = await check(manifest(line, namespace), "-v");
    expect(exit).toBe(0);
    expect(out.split("\n")).toContain(said);
  });
});

describe("whatever a policy holds", () => {
  const word = fc.oneof(
    fc.constantFrom(
      "spec",
      "podSelector",
      "namespaceSelector",
      "matchLabels",
      "matchExpressions",
      "key",
      "operator",
      "values",
      "ingress",
      "egress",
      "from",
      "to",
      "ports",
      "port",
      "endPort",
      "protocol",
      "ipBlock",
      "cidr",
      "except",
      "policyTypes",
      "subject",
      "namespaces",
      "pods",
      "networks",
      "action",
      "priority",
      "tier",
    ),
    fc.string({ maxLength: 4 }),
  );
  const leaf = fc.oneof(
    fc.constantFrom(
      "In",
      "Exists",
      "TCP",
      "UDP",
      "Ingress",
      "10.0.0.0/8",
      "fd00::/64",
      "::/0",
      "a",
      "",
      null,
      true,
      80,
      -1,
      1e12,
      0.5,
      "http",
      "Deny",
      "Pass",
    ),
    fc.string({ maxLength: 6 }),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      leaf,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(word, tie("value"), { maxKeys: 4 }),
    ),
  }));
  const kinds = [
    ["networking.k8s.io/v1", "NetworkPolicy"],
    ["policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"],
    ["policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy"],
    ["policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy"],
  ] as const;

  it("is read and linted, or refused with words for people", () => {
    let read = 0;
    fc.assert(
      fc.property(fc.constantFrom(...kinds), value, ([apiVersion, kind], spec) => {
        const object = { apiVersion, kind, metadata: { name: "default", namespace: "shop" }, spec };
        const texts = [
          { file: "a.yaml", text: pod },
          { file: "p.json", text: JSON.stringify(object) },
        ];
        try {
          checkWorld(loadWorld(texts, "fuzz"), { verbose: true });
          read++;
        } catch (error) {
          if (!(error instanceof UserError || error instanceof UserErrors)) throw error;
        }
      }),
      { numRuns: Number(process.env["HOPWISE_POLICY_FUZZ"] ?? 150) },
    );
    expect(read).toBeGreaterThan(0);
  });
});
