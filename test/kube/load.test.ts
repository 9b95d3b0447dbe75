import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { loadObjects } from "../../src/kube/load.js";
import { load, mistakesOf, repositoryText, shown } from "./texts.js";

const policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: db-from-api
  namespace: shop
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from:
        - podSelector: {matchLabels: {app: api}}
      ports:
        - port: 5432
`;

describe("objects and their places", () => {
  test("every object and every field of a multi-document file knows its line and column", () => {
    const { objects } = load(
      `# a comment\n${policy}---\n${policy.replace("db-from-api", "second")}`,
    );
    const [first, second] = objects.NetworkPolicy;
    expect(first?.origin).toMatchObject({ file: "world.yaml", line: 2, column: 1 });
    expect(second?.origin).toMatchObject({ line: 15, column: 1 });
    expect(first?.origin.placeOf(["spec", "podSelector"])).toEqual({
      file: "world.yaml",
      line: 8,
      column: 3,
    });
    expect(second?.origin.placeOf(["spec", "ingress", 0, "ports", 0, "port"])).toEqual({
      file: "world.yaml",
      line: 26,
      column: 11,
    });
    expect(first?.origin.details(["spec", "ingress", 0, "ports", 0, "port"], "value")).toEqual({
      place: { file: "world.yaml", line: 13, column: 17 },
      sourceLine: "        - port: 5432",
      length: 4,
    });
  });

  test("a path that leads nowhere gives the place of its last part that exists", () => {
    const [only] = load(policy).objects.NetworkPolicy;
    expect(only?.origin.placeOf(["spec", "egress", 0])).toMatchObject({ line: 6, column: 1 });
    expect(only?.origin.placeOf(["status"])).toMatchObject({ line: 1, column: 1 });
  });

  test("a List, a PodList and JSON give the same objects as documents do, each with its place", () => {
    const pod = (name: string): string =>
      `{"metadata": {"name": "${name}"}, "spec": {"containers": []}}`;
    const json = `{\n "apiVersion": "v1",\n "kind": "PodList",\n "items": [\n  ${pod("a")},\n  ${pod("b")}\n ]\n}\n`;
    const { objects } = load(json, "pods.json");
    expect(
      objects.Pod.map(({ object, origin }) => [
        object.metadata?.name,
        object.metadata?.namespace,
        origin.line,
      ]),
    ).toEqual([
      ["a", "default", 5],
      ["b", "default", 6],
    ]);
    expect(objects.Pod[1]?.origin.placeOf(["metadata", "name"])).toEqual({
      file: "pods.json",
      line: 6,
      column: 17,
    });
    const mixed = `apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: x}\n- ${policy.replaceAll("\n", "\n  ")}`;
    expect(load(mixed).objects.NetworkPolicy[0]?.origin).toMatchObject({ line: 7, column: 3 });
  });

  test("a quoted key is underlined with its quotes", () => {
    const text = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","lables":{}}}';
    const [mistake] = mistakesOf(() => load(text));
    expect(mistake?.details).toMatchObject({
      place: { line: 1, column: text.indexOf('"lables"') + 1 },
      length: 8,
    });
  });

  test("the real manifest of a shop loads without a note", () => {
    const { objects, unused, notes } = load(
      repositoryText("test/golden/worlds/online-boutique/kubernetes-manifests.yaml"),
    );
    expect([
      objects.Deployment.length,
      objects.Service.length,
      objects.ServiceAccount.length,
    ]).toEqual([12, 12, 11]);
    expect([unused.length, notes.length]).toEqual([0, 0]);
    expect(objects.Deployment[0]?.origin.line).toBe(21);
  });

  test("merge keys and aliases give whole objects", () => {
    const text = `apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n    - &p {port: 80, protocol: TCP}\n    - {<<: *p, port: 81, name: b}\n`;
    expect(load(text).objects.Service[0]?.object.spec?.ports).toEqual([
      { port: 80, protocol: "TCP" },
      { port: 81, protocol: "TCP", name: "b" },
    ]);
  });

  test("null means not given, and a null list item is an empty object, as for the API server", () => {
    const { objects } = load(
      policy
        .replace("  ingress:", "  egress:\n    -\n  ingress:")
        .replace("  namespace: shop", "  namespace: shop\n  labels:"),
    );
    const [only] = objects.NetworkPolicy;
    expect(only?.object.spec?.egress).toEqual([{}]);
    expect(only?.object.metadata).toEqual({ name: "db-from-api", namespace: "shop" });
  });

  test("a Secret is counted and nothing of it is kept", () => {
    const secret =
      "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: aHVudGVyMg==}\n";
    const result = load(`${secret}---\n${policy}`);
    expect(result.secrets).toBe(1);
    expect(JSON.stringify(result)).not.toContain("aHVudGVyMg");
  });

  test("a mistake in a very long line does not show what else stands in it", () => {
    const items = `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"p":"${"hunter2".repeat(400)}"}},{"apiVersion":"v1","kind":"Pod","metadata":{"nme":"a"}}`;
    const [mistake] = mistakesOf(() =>
      load(`{"apiVersion":"v1","kind":"List","items":[${items}]}`),
    );
    expect(mistake?.details.place?.column).toBeGreaterThan(2_000);
    expect(JSON.stringify(mistake)).not.toContain("hunter2");
  });

  test("a kind of somebody else is kept as unused, also when it is called like one of ours", () => {
    const { unused, objects } = load(
      "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: k, namespace: n}\nspec: {tipe: 1}\n",
    );
    expect(unused).toMatchObject([
      { apiVersion: "serving.knative.dev/v1", kind: "Service", namespace: "n", name: "k" },
    ]);
    expect(objects.Service).toEqual([]);
  });

  test("the later of two objects of one name counts, and a note says so", () => {
    const { objects, notes } = loadObjects([
      { file: "a.yaml", text: policy },
      { file: "b.yaml", text: policy.replace("5432", "5433") },
    ]);
    expect(objects.NetworkPolicy.map(({ origin }) => origin.file)).toEqual(["b.yaml"]);
    expect(notes.map(({ text }) => text)).toEqual([
      "NetworkPolicy shop/db-from-api replaces the one at a.yaml:1",
    ]);
  });

  test("a field that is newer than we are is let through in an object that comes out of a cluster", () => {
    const live = policy
      .replace("  namespace: shop", "  namespace: shop\n  uid: 4a-1f")
      .replace("spec:", "spec:\n  quantumTunnel: {}");
    expect(load(live).notes).toEqual([
      {
        text: "field that hopwise does not know, ignored: NetworkPolicy shop/db-from-api: spec.quantumTunnel",
      },
    ]);
    expect(
      mistakesOf(() => load(policy.replace("spec:", "spec:\n  quantumTunnel: {}"))),
    ).toHaveLength(1);
  });

  test("a status may hold anything, in dumps and in what people kept of them", () => {
    const status =
      'phase: Running, qosClass: Burstable, conditions: [{type: Ready, status: "True", lastTransitionTime: x, reason: y}], containerStatuses: [{ready: true, name: c, restartCount: 0, state: {running: {}}}]';
    const pod = (uid: string): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p${uid}}\nspec: {containers: [{name: c}]}\nstatus: {${status}}\n`;
    expect(load(pod("")).notes).toEqual([]);
    expect(load(pod(", uid: 4a-1f")).notes).toEqual([]);
    expect(mistakesOf(() => load(pod("").replace("phase: Running", "phase: 1")))).toHaveLength(1);
  });
});

describe("mistakes", () => {
  test("a misspelt field names the right one and what would have happened", () => {
    const mistakes = mistakesOf(() =>
      load(
        policy.replace(
          "podSelector: {matchLabels: {app: db}}",
          "podSelectr: {matchLabels: {app: db}}",
        ),
        "policies/db.yaml",
      ),
    );
    expect(mistakes.map(shown)).toEqual([
      'policies/db.yaml:7:3: NetworkPolicy shop/db-from-api: unknown field "podSelectr" in spec\n' +
        'help: did you mean "podSelector"? Without it the policy would select every pod in namespace shop.',
    ]);
    expect(mistakes[0]?.details).toMatchObject({
      sourceLine: "  podSelectr: {matchLabels: {app: db}}",
      length: 10,
    });
  });

  const service = "kind: Service\napiVersion: v1\nmetadata: {name: a}\nspec:\n  ";
  test.each([
    [
      "broken YAML",
      "a: [1,",
      "world.yaml:1:7: YAML: unexpected end of the stream within a flow collection\nhelp: a bracket or quote that was opened is never closed",
    ],
    [
      "a tab",
      "a:\n\tb: 1",
      /^world\.yaml:2:\d+: YAML: .*\nhelp: YAML is indented with spaces, never with tabs$/s,
    ],
    [
      "wrong indentation",
      "a: 1\n b: 2\n",
      "world.yaml:2:3: YAML: bad indentation of a mapping entry\nhelp: the line is indented differently from its neighbours",
    ],
    [
      "a key twice",
      "a: 1\na: 2\n",
      "world.yaml:2:1: YAML: duplicated mapping key\nhelp: each key may stand once in a mapping",
    ],
    [
      "JSON that is cut off",
      '{"kind": "Pod",',
      "world.yaml:1:16: YAML: unexpected end of the stream within a flow collection\nhelp: a bracket or quote that was opened is never closed",
    ],
    [
      "an empty file",
      "",
      "world.yaml:1:1: the file holds no Kubernetes objects\nhelp: expected what kubectl get -o yaml prints, or manifests for kubectl apply",
    ],
    [
      "another YAML file",
      "on: push\njobs: {}\n",
      'world.yaml:1:1: not a Kubernetes object: it has no "kind"',
    ],
    [
      "a misspelt kind key",
      "apiVersion: v1\nknid: Pod\n",
      'world.yaml:2:1: not a Kubernetes object: it has no "kind"\nhelp: is "knid" meant to be "kind"?',
    ],
    [
      "no apiVersion",
      "kind: Pod\n",
      'world.yaml:1:1: not a Kubernetes object: this Pod has no "apiVersion"',
    ],
    [
      "plain text",
      "hello\n",
      "world.yaml:1:1: a mapping with apiVersion and kind was expected here",
    ],
    [
      "a misspelt kind",
      "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: a}\n",
      'world.yaml:2:7: unknown kind "Deploymnet" in apps/v1\nhelp: did you mean "Deployment"?',
    ],
    ["no name", "apiVersion: v1\nkind: Pod\n", "world.yaml:1:1: Pod: metadata.name is missing"],
    [
      "a bad name",
      "apiVersion: v1\nkind: Pod\nmetadata: {name: ../etc}\n",
      `world.yaml:3:18: Pod default/../etc: metadata.name must be made of lower case letters, digits, '-' and '.', with a letter or digit at both ends, not "../etc"`,
    ],
    [
      "a number as label",
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {v: 1.5}\n",
      'world.yaml:5:15: Pod default/a: metadata.labels.v must be a string, not the number 1.5\nhelp: put it in quotes: "1.5"',
    ],
    [
      "a word for a port",
      `${service}ports: [{port: http}]`,
      'world.yaml:5:18: Service default/a: spec.ports[0].port must be a whole number from 1 to 65535, not "http"',
    ],
    [
      "a port out of range",
      `${service}ports: [{port: 80, targetPort: 70000}]`,
      "world.yaml:5:34: Service default/a: spec.ports[0].targetPort must be a port number from 1 to 65535 or a port name, not the number 70000",
    ],
    [
      "yes for true",
      `${service}publishNotReadyAddresses: yes`,
      'world.yaml:5:29: Service default/a: spec.publishNotReadyAddresses must be true or false, not "yes"\nhelp: "yes" is a string here: write true',
    ],
    [
      "off for false",
      `${service}allocateLoadBalancerNodePorts: off`,
      'world.yaml:5:34: Service default/a: spec.allocateLoadBalancerNodePorts must be true or false, not "off"\nhelp: "off" is a string here: write false',
    ],
    [
      "a misspelt word",
      `${service}type: NodePrt`,
      'world.yaml:5:9: Service default/a: spec.type must be one of ClusterIP, NodePort, LoadBalancer, ExternalName, not "NodePrt"\nhelp: did you mean "NodePort"?',
    ],
    [
      "a mapping for a list",
      `${service}ports: {port: 80}`,
      "world.yaml:5:10: Service default/a: spec.ports must be a list, not a mapping",
    ],
  ])("%s", (_what, text, message) => {
    const [mistake] = mistakesOf(() => load(text)).map(shown);
    if (typeof message === "string") expect(mistake).toBe(message);
    else expect(mistake).toMatch(message);
  });

  test("all mistakes of all files are reported, in the order of the text", () => {
    const files = [
      { file: "a.yaml", text: `${service}tipe: x\n  ports: [{prot: 80}]\n` },
      { file: "b.yaml", text: "[" },
    ];
    expect(
      mistakesOf(() => loadObjects(files)).map(
        ({ message, details }) => `${details.place?.file}: ${message}`,
      ),
    ).toEqual([
      'a.yaml: Service default/a: unknown field "tipe" in spec',
      'a.yaml: Service default/a: unknown field "prot" in spec.ports[0]',
      "b.yaml: YAML: unexpected end of the stream within a flow collection",
    ]);
  });

  test("control characters of a file do not reach a message", () => {
    const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: a, "x\\u001b[31m": 1}\n`;
    expect(mistakesOf(() => load(text))[0]?.message).toBe(
      'Pod default/a: unknown field "x\\x1b[31m" in metadata',
    );
  });
});

describe("limits", () => {
  test("nesting is limited in YAML and in JSON", () => {
    const deep = "[".repeat(200) + "]".repeat(200);
    expect(mistakesOf(() => load(deep))[0]?.code).toBe("LIMIT_DEPTH");
    expect(mistakesOf(() => load(`a: ${deep}`))[0]?.code).toBe("LIMIT_DEPTH");
    expect(mistakesOf(() => load("[".repeat(100_000)))[0]?.code).toBe("LIMIT_DEPTH");
  });

  test("aliases that multiply, that are too many or that contain themselves are refused", () => {
    const bomb = Array.from(
      { length: 9 },
      (_, index) =>
        `a${index}: &a${index} [${Array.from({ length: 9 }, () => (index === 0 ? "x" : `*a${index - 1}`)).join(", ")}]`,
    ).join("\n");
    expect(mistakesOf(() => load(bomb))[0]?.message).toMatch(
      /^aliases make the file \d+ values long, more than 2000000$/,
    );
    const many = `a: &a x\nb: [${"*a, ".repeat(1_001)}]`;
    expect(mistakesOf(() => load(many))[0]?.message).toBe(
      "the file uses 1001 aliases, more than 1000",
    );
    expect(mistakesOf(() => load("a: &a [*a]"))[0]?.code).toBe("ALIAS_CYCLE");
  });

  test("whatever the text is, only a user's mistake is thrown", () => {
    const words = [
      "apiVersion: v1",
      "kind: Pod",
      "kind: Service",
      "metadata:",
      "  name: a",
      "spec:",
      "  ports:",
      "  - port: 80",
      "  containers: null",
      "- ",
      "---",
      "*a",
      "&a",
      "<<: *a",
      "{",
      "}",
      "[",
      "]",
      "\t",
      "!!set",
      "? x",
      "|",
      '"',
      "items: []",
      "kind: List",
    ];
    const lines = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 12 })), {
      maxLength: 14,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          lines.map((parts) => parts.join("\n")),
        ),
        (text) => {
          try {
            load(text);
          } catch (error) {
            expect(error instanceof UserError || error instanceof UserErrors).toBe(true);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
