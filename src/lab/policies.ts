import type { TraceEvent } from "../core/trace.js";
import type { Cluster } from "../kube/cluster.js";
import { type Dialect, dialectNamed, type Switch, switchText } from "../kube/policy/dialect.js";
import { policyObjectsOf, policyWorld, type PolicyWorld } from "../kube/policy/world.js";
import { nameOf } from "../kube/objects.js";
import { askWhy, type WhyQuestion } from "./ask-why.js";
import { calicoDoubts } from "./calico-doubts.js";
import type { ClusterWorld, World } from "./world.js";

/**
 * Policies that no rules are rendered for: kube-router knows NetworkPolicy alone. Where there are others, a packet's
 * answer is not certain; `hopwise why` judges those of Kubernetes. With what of a Calico network these packets met.
 */
export function policiesNotRendered(
  cluster: Cluster,
  events: readonly TraceEvent[],
): readonly string[] {
  const { objects, foreignPolicies } = cluster;
  const others = [
    ...objects.AdminNetworkPolicy,
    ...objects.BaselineAdminNetworkPolicy,
    ...objects.ClusterNetworkPolicy,
  ];
  return [
    ...others.map(
      ({ object, origin }) =>
        `${object.kind ?? "policy"} ${nameOf(object)} (${origin.file}:${origin.line}) is not turned into rules; hopwise why judges it`,
    ),
    ...foreignPolicies.map(
      ({ apiVersion, kind, name, origin }) =>
        `${kind} ${name} of ${apiVersion} (${origin.file}:${origin.line}) is not modelled`,
    ),
    ...calicoDoubts(cluster, events),
  ];
}

/** What the policy evaluators see of a world. */
export function policyWorldOf({ cluster }: ClusterWorld, dialect?: Dialect): PolicyWorld {
  return policyWorld(policyObjectsOf(cluster), dialect);
}

/**
 * Why a trace, whose rules are kube-router's, is no certain answer under another dialect: a switch that decides about this
 * request is set otherwise. Empty where both judge it alike and refuse it alike.
 */
export function dialectNotRendered(
  world: World,
  question: Pick<WhyQuestion, "source" | "destination" | "protocol">,
  dialect: Dialect,
): readonly string[] {
  const rendered = dialectNamed("kube-router");
  if (world.kind !== "cluster" || rendered === undefined) return [];
  if (world.cluster.objects.NetworkPolicy.length === 0) return [];
  const ask = (
    under: Dialect,
  ): readonly { readonly outcome: string; readonly on: readonly Switch[] }[] =>
    askWhy(world.cluster, { ...question, dialect: under, fixes: false }).answers.map(
      ({ verdict, hangsOn }) => ({ outcome: verdict.outcome, on: hangsOn }),
    );
  const [wanted, shown] = [ask(dialect), ask(rendered)];
  const other = wanted.findIndex(({ outcome }, at) => outcome !== shown[at]?.outcome);
  if (other >= 0) {
    const names = [...(wanted[other]?.on ?? []), ...(shown[other]?.on ?? [])].filter(
      (name) => dialect[name] !== rendered[name],
    );
    const said = [...new Set(names)].map((name) => switchText(dialect, name)).join("; ");
    return [
      `the rules are kube-router's, and dialect ${dialect.name} judges it otherwise${said === "" ? "" : `: ${said}`}`,
    ];
  }
  return dialect.refusal !== rendered.refusal && shown.some(({ outcome }) => outcome === "deny")
    ? [
        `the rules are kube-router's, which refuse with an ICMP error; under dialect ${dialect.name} ${switchText(dialect, "refusal")}`,
      ]
    : [];
}
