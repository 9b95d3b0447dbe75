import { readdirSync, readFileSync } from "node:fs";
import { buildCluster } from "../../../src/kube/cluster.js";
import { type InputText, loadObjects } from "../../../src/kube/load.js";
import { type Targets, targetsOf } from "../../../src/kube/policy/targets.js";
import type { Dialect } from "../../../src/kube/policy/dialect.js";

const shopDirectory = new URL("../../../topologies/shop/", import.meta.url);

/** The objects of demo:shop without its policies. */
const shopTexts: readonly InputText[] = readdirSync(shopDirectory)
  .filter((file) => /^\d\d-.*\.yaml$/.test(file))
  .map((file) => ({
    file: `topologies/shop/${file}`,
    text: readFileSync(new URL(file, shopDirectory), "utf8"),
  }));

export const dbPolicy = `# The database is for the API alone.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: db-from-api
  namespace: shop
spec:
    policyTypes: [Ingress]
    podSelector: {matchLabels: {app: db}}
    ingress:
      # Only the API.
      - from:
        - podSelector: {matchLabels: {app: api}}
        ports:
        - port: 5432
`;

export const apiPolicy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: api-from-web
  namespace: shop
spec:
  podSelector: {matchLabels: {app: api}}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector: {matchLabels: {app: web}}
      ports:
        - port: 8080
`;

/** demo:shop with these policies. */
export function shop(
  policies: readonly InputText[] = [
    { file: "policies/api.yaml", text: apiPolicy },
    { file: "policies/db.yaml", text: dbPolicy },
  ],
  dialect?: Dialect,
): Targets {
  return targetsOf(buildCluster(loadObjects([...shopTexts, ...policies])), dialect);
}
