import { type Finding, type LintContext } from "../kube/policy/finding.js";
import { lintPolicies } from "../kube/policy/lint.js";
import { targetsOf } from "../kube/policy/targets.js";
import type { Cluster } from "../kube/cluster.js";
import type { CheckNote } from "./check.js";

/** What a person should look at in the policies of a cluster, by file and line. */
export function checkPolicies(cluster: Cluster): readonly CheckNote[] {
  const context: LintContext = {
    ...targetsOf(cluster),
    podCidr: cluster.networks.pods.prefix,
    serviceCidr: cluster.networks.services.prefix,
  };
  return lintPolicies(context).map(noteOf);
}

function noteOf({ severity, id, object, message, help, place }: Finding): CheckNote {
  const hint = help === undefined ? "" : `; ${help}`;
  return { what: severity, text: `${object}: ${message}${hint} [${id}]`, place };
}
