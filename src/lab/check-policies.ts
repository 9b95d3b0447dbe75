import type { Dialect } from "../kube/policy/dialect.js";
import type { Finding, LintContext } from "../kube/policy/finding.js";
import { lintPolicies } from "../kube/policy/lint.js";
import { targetsOf } from "../kube/policy/targets.js";
import type { Cluster } from "../kube/cluster.js";
import type { CheckNote } from "./check.js";

export interface CheckPolicyOptions {
  readonly dialect?: Dialect | undefined;
  /** Also what only says what is so, one for each pod or policy. */
  readonly verbose?: boolean | undefined;
}

/** What a person should look at in the policies of a cluster, by file and line. */
export function checkPolicies(
  cluster: Cluster,
  { dialect, verbose }: CheckPolicyOptions = {},
): readonly CheckNote[] {
  const context: LintContext = {
    ...targetsOf(cluster, dialect),
    ingresses: cluster.objects.Ingress,
    verbose,
    podCidr: cluster.networks.pods.prefix,
    serviceCidr: cluster.networks.services.prefix,
  };
  const groups = new Map<string, Finding[]>();
  for (const finding of lintPolicies(context)) {
    const key = `${finding.id} ${finding.message}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [finding]);
    else group.push(finding);
  }
  return [...groups.values()].map(noteOf);
}

/** The same words about several objects are said once, at the first. */
function noteOf([first, ...others]: readonly Finding[]): CheckNote {
  if (first === undefined) throw new Error("a group without findings");
  const { severity, id, object, message, help, place } = first;
  const hint = help === undefined ? "" : `; ${help}`;
  const also = [...new Set(others.map((other) => other.object))].filter((name) => name !== object);
  const who = also.length === 0 ? object : `${object} and ${also.length} more`;
  const shown = first.details.place === undefined ? undefined : place;
  return { what: severity, text: `${who}: ${message}${hint} [${id}]`, place: shown };
}
