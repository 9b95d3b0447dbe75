import { type Dialect, describeDialect, otherSettings, type Switch, switches } from "./dialect.js";
import { explainSide, type SideExplanation } from "./explain.js";
import { findFixes, type Fix } from "./fixes.js";
import { probeName } from "./matrix.js";
import { judge, judgeSide, rulesOf } from "./oracle.js";
import { policyName } from "./reason-text.js";
import { directions, joinSides, type Verdict } from "./verdict.js";
import type { Flow, PodEndpoint, PolicyWorld } from "./world.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";

/** Why a connection is allowed or denied. */
export interface WhyAnswer {
  readonly flow: Flow;
  readonly verdict: Verdict;
  /** Egress, then ingress. */
  readonly sides: readonly SideExplanation[];
  /** Well-known traps that this connection is in, as sentences. */
  readonly traps: readonly string[];
  /** The smallest first; empty for what is allowed. */
  readonly fixes: readonly Fix[];
  readonly dialect: Dialect;
  /** What the dialect does differently from the default. */
  readonly assumed: readonly string[];
  /** The switches of the dialect without which the verdict would be another. */
  readonly hangsOn: readonly Switch[];
}

export interface WhyOptions {
  /** The Service that was asked, when the flow is what became of it. */
  readonly service?: { readonly key: string; readonly port: number } | undefined;
  /** Without fixes it is much quicker. */
  readonly fixes?: boolean;
}

export function why(
  world: PolicyWorld,
  flow: Flow,
  { service, fixes = true }: WhyOptions = {},
): WhyAnswer {
  const sides = directions.map((direction) => explainSide(world, flow, direction));
  const verdict = joinSides(judgeSide(world, flow, "egress"), judgeSide(world, flow, "ingress"));
  return {
    flow,
    verdict,
    sides,
    traps: [
      ...servicePortTrap(world, sides, flow, service),
      ...dnsTraps(world, flow),
      ...otherTraps(flow, verdict),
    ],
    fixes: fixes && verdict.outcome === "deny" ? findFixes(world, flow, sides) : [],
    dialect: world.dialect,
    assumed: describeDialect(world.dialect),
    hangsOn: decisiveSwitches(world, flow, verdict),
  };
}

/** The switches that, set otherwise, would give another verdict. */
function decisiveSwitches(world: PolicyWorld, flow: Flow, { outcome }: Verdict): readonly Switch[] {
  return switches.filter((name) =>
    otherSettings(world.dialect, name).some(
      (dialect) => judge({ ...world, dialect }, flow).outcome !== outcome,
    ),
  );
}

/** A rule names the Service's port, and policy sees the pod's. Section 1.8. */
function servicePortTrap(
  { dialect }: PolicyWorld,
  sides: readonly SideExplanation[],
  flow: Flow,
  service: WhyOptions["service"],
): readonly string[] {
  const { port } = flow;
  if (service === undefined || service.port === port || port === undefined) return [];
  return sides.flatMap(({ direction, policies, verdict }) => {
    if (verdict.outcome !== "deny") return [];
    if (direction === "egress" && dialect.services === "original") return [];
    return policies.flatMap(({ policy, rules }) =>
      rules
        .filter(({ ref, peerMatches, portMatches }) => {
          const ports =
            rulesOf(policy.loaded.object as NetworkPolicy, direction)[ref.index]?.ports ?? [];
          return peerMatches && !portMatches && ports.some((each) => each.port === service.port);
        })
        .map(
          ({ ref }) =>
            `you asked for port ${service.port} of Service ${service.key}; policy sees ${port}, the port of the pod; rule ${ref.index + 1} of ${policyName(policy)} allows ${service.port}`,
        ),
    );
  });
}

/** The pods that answer DNS: those of the cluster's DNS Service by their usual label. */
export function dnsPods(world: PolicyWorld): readonly PodEndpoint[] {
  return world.pods.filter(
    ({ namespace, labels }) =>
      labels["k8s-app"] === "kube-dns" ||
      (namespace === "openshift-dns" &&
        labels["dns.operator.openshift.io/daemonset-dns"] !== undefined),
  );
}

/** Whether a pod's egress reaches some DNS pod; undefined where nothing hangs on it. */
export function reachesDns(
  world: PolicyWorld,
  source: PodEndpoint,
  protocol: "TCP" | "UDP",
  servers: readonly PodEndpoint[] = dnsPods(world),
): boolean | undefined {
  if (servers.length === 0) return undefined;
  return servers.some((destination) => {
    const port =
      destination.ports.find(
        (each) => each.protocol === protocol && each.name?.startsWith("dns") === true,
      )?.number ?? 53;
    return judgeSide(world, { source, destination, protocol, port }, "egress").outcome !== "deny";
  });
}

/** Egress is isolated and nothing lets DNS out. Section 1.13. */
function dnsTraps(world: PolicyWorld, { source }: Flow): readonly string[] {
  if (source.kind !== "pod") return [];
  const udp = reachesDns(world, source, "UDP");
  if (udp === false) {
    const tcpOnly =
      reachesDns(world, source, "TCP") === true
        ? " (TCP 53 is allowed: protocol was left out, and means TCP)"
        : "";
    return [
      `egress of ${source.key} does not reach UDP 53 of the DNS pods: names will not resolve${tcpOnly}`,
    ];
  }
  return udp === true && reachesDns(world, source, "TCP") === false
    ? [`egress of ${source.key} reaches DNS over UDP but not over TCP: truncated answers fail`]
    : [];
}

function otherTraps(flow: Flow, { outcome }: Verdict): readonly string[] {
  if (flow.port !== undefined) return [];
  return [
    `${probeName(flow)} is no evidence for TCP or UDP: whether policies ${outcome === "deny" ? "stop" : "let through"} it is left to the plugin`,
  ];
}
