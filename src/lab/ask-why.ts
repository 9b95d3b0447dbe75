import { UserError } from "../base/errors.js";
import type { Cluster } from "../kube/cluster.js";
import type { Dialect } from "../kube/policy/dialect.js";
import { resolveDestination, resolveSource, targetsOf } from "../kube/policy/targets.js";
import { why, type WhyAnswer } from "../kube/policy/why.js";
import { podNameFor } from "./endpoints.js";
import type { World } from "./world.js";

/** A question to the policies, in the words of the command line. */
export interface WhyQuestion {
  readonly source: string;
  readonly destination: string;
  /** `TCP`, `UDP`, `SCTP` or another. */
  readonly protocol: string;
  readonly dialect?: Dialect | undefined;
  /** Without fixes it is much quicker. */
  readonly fixes?: boolean;
}

export interface WhyAnswers {
  /** The destination in full: `shop/db:5432`. */
  readonly name: string;
  /** One for each backend; empty for a Service without any. */
  readonly answers: readonly WhyAnswer[];
}

/** What the policies say of every backend of the destination. Throws UserError for names that mean nothing. */
export function askWhy(cluster: Cluster, question: WhyQuestion): WhyAnswers {
  const { source, destination, protocol, dialect, fixes } = question;
  const targets = targetsOf(cluster, dialect);
  const from = resolveSource(targets, podNameFor(source, cluster));
  const found = resolveDestination(targets, podNameFor(destination, cluster), protocol, from);
  const { name, service } = found;
  const answers = found.targets.map(({ endpoint, protocol: spoken, port }) =>
    why(
      targets.world,
      {
        source: from,
        destination: endpoint,
        protocol: spoken,
        port,
        hairpin: service !== undefined && endpoint === from,
        service,
      },
      { service, ...(fixes === undefined ? {} : { fixes }) },
    ),
  );
  return { name, answers };
}

/** The cluster of a world; a world of dumps or a lab has no policies. Throws UserError. */
export function clusterWithPolicies(world: World): Cluster {
  if (world.kind !== "cluster")
    throw new UserError("POLICY_LAB", `${world.name} has no Kubernetes objects, so no policies`);
  return world.cluster;
}
