import { type Loaded, nameOf } from "../objects.js";
import type {
  AdminPort,
  ClusterProtocol,
  ClusterRule,
  ClusterSpec,
  ClusterWidePolicy,
  DestinationPort,
} from "./api.js";
import type { PolicyRef, Tier } from "./verdict.js";
import type { PolicyObjects } from "./world.js";

/** A cluster-wide policy of any of the three kinds. */
export interface ClusterPolicy {
  readonly ref: PolicyRef;
  readonly tier: Tier;
  /** 0 to 1000, lower is earlier. A BaselineAdminNetworkPolicy has none and comes last. */
  readonly priority: number;
  readonly spec: ClusterSpec;
}

/** What a rule says about ports, in one shape for both generations. */
export type PortRange =
  | {
      readonly kind: "range";
      readonly protocol: string;
      readonly first: number;
      readonly last: number;
    }
  | {
      readonly kind: "named";
      readonly name: string;
      /** Any protocol when it is not given. */
      readonly protocol?: string;
    };

/** The policies of a tier in the order they are asked: by priority, then by name. */
export function clusterTier(objects: PolicyObjects, tier: Tier): readonly ClusterPolicy[] {
  const admin = (objects.adminPolicies ?? []).map((loaded) =>
    clusterPolicy("AdminNetworkPolicy", loaded, "Admin", loaded.object.spec?.priority ?? 0),
  );
  const baseline = (objects.baselinePolicies ?? []).map((loaded) =>
    clusterPolicy("BaselineAdminNetworkPolicy", loaded, "Baseline", 1001),
  );
  const both = (objects.clusterPolicies ?? []).map((loaded) => {
    const { tier: own = "Admin", priority = 0 } = loaded.object.spec ?? {};
    return clusterPolicy("ClusterNetworkPolicy", loaded, own, priority);
  });
  return [...admin, ...baseline, ...both]
    .filter((policy) => policy.tier === tier)
    .toSorted(inOrder);
}

function clusterPolicy(
  kind: PolicyRef["kind"],
  loaded: Loaded<ClusterWidePolicy>,
  tier: Tier,
  priority: number,
): ClusterPolicy {
  return {
    ref: { kind, key: nameOf(loaded.object), loaded },
    tier,
    priority,
    spec: loaded.object.spec ?? {},
  };
}

function inOrder(a: ClusterPolicy, b: ClusterPolicy): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  return a.ref.key < b.ref.key ? -1 : a.ref.key > b.ref.key ? 1 : 0;
}

/** The ports of a rule; undefined means all traffic, also of protocols without ports. */
export function portsOf({ ports, protocols }: ClusterRule): readonly PortRange[] | undefined {
  const all = [...(ports ?? []).map(adminPort), ...(protocols ?? []).flatMap(clusterPorts)];
  return (ports ?? []).length + (protocols ?? []).length === 0 ? undefined : all;
}

function adminPort({ portNumber, portRange, namedPort }: AdminPort): PortRange {
  if (namedPort !== undefined) return { kind: "named", name: namedPort };
  const protocol = portNumber?.protocol ?? portRange?.protocol ?? "TCP";
  const first = portNumber?.port ?? portRange?.start ?? 0;
  return { kind: "range", protocol, first, last: portNumber?.port ?? portRange?.end ?? -1 };
}

function clusterPorts({
  tcp,
  udp,
  sctp,
  destinationNamedPort,
}: ClusterProtocol): readonly PortRange[] {
  if (destinationNamedPort !== undefined) return [{ kind: "named", name: destinationNamedPort }];
  const range = (
    protocol: string,
    given: { readonly destinationPort?: DestinationPort } | undefined,
  ): readonly PortRange[] =>
    given === undefined ? [] : [{ kind: "range", protocol, ...bounds(given.destinationPort) }];
  return [...range("TCP", tcp), ...range("UDP", udp), ...range("SCTP", sctp)];
}

function bounds(port: DestinationPort | undefined): {
  readonly first: number;
  readonly last: number;
} {
  if (port?.number !== undefined) return { first: port.number, last: port.number };
  return { first: port?.range?.start ?? 1, last: port?.range?.end ?? 65_535 };
}
