import type { Finding, LintContext } from "./finding.js";
import { clusterFindings } from "./lint-cluster.js";
import { redundancyFindings } from "./lint-redundant.js";
import { shapeFindings } from "./lint-shape.js";
import { trafficFindings } from "./lint-traffic.js";
import { worldFindings } from "./lint-world.js";

/** Every finding, by file and line, then by name. */
export function lintPolicies(context: LintContext): readonly Finding[] {
  const all = [
    ...shapeFindings(context),
    ...worldFindings(context),
    ...trafficFindings(context),
    ...redundancyFindings(context),
    ...clusterFindings(context),
  ];
  const rank = ({ place }: Finding): string =>
    `${place.file}\n${String(place.line).padStart(9, "0")}${String(place.column).padStart(6, "0")}`;
  return all.toSorted((a, b) =>
    rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : a.id < b.id ? -1 : 1,
  );
}
