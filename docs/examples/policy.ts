import {
  askWhy,
  connectivityMatrix,
  loadWorld,
  matrixReasons,
  matrixText,
  parseDialect,
  policyVerdict,
  policyWorldOf,
  whyJson,
  whyTexts,
} from "hopwise";

const pod = (name: string, app: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${app}}}
spec: {containers: [{name: main, image: main, ports: [{containerPort: 5432}]}]}
---`;
const policy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-from-api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]
`;
const text = pod("web-0", "web") + pod("api-0", "api") + pod("db-0", "db") + policy;
const world = loadWorld([{ file: "shop.yaml", text }], "shop");
if (world.kind !== "cluster") throw new Error("a manifest makes a cluster");

// One pair: the verdict, and what decides on each side.
const policies = policyWorldOf(world);
const [web, db] = [policies.podByKey.get("shop/web-0"), policies.podByKey.get("shop/db-0")];
if (web === undefined || db === undefined) throw new Error("both pods are there");
const verdict = policyVerdict(policies, { source: web, destination: db, protocol: "TCP", port: 5432 });
console.log(verdict.outcome, verdict.egress.reason.kind, verdict.ingress.reason.kind);

// The whole reason, rule by rule, and what would change it; as text, and as data.
const dialect = parseDialect("kube-router,otherProtocols=deny");
const { answers } = askWhy(world.cluster, { source: "shop/web-0", destination: "shop/db-0:5432", protocol: "TCP", dialect });
for (const line of whyTexts(answers)) console.log(line);
for (const { fixes } of answers.map(whyJson)) console.log(fixes.map(({ title, opens }) => `${title}: ${opens}`));

// All pairs, and what denies.
const matrix = connectivityMatrix(policies, { namespaces: ["shop"] });
for (const line of [...matrixText(matrix), ...matrixReasons(matrix)]) console.log(line);
