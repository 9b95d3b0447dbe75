import { UserError, type UserErrorDetails } from "../../base/errors.js";
import type { Pod } from "kubernetes-types/core/v1.js";
import type { Cluster } from "../../kube/cluster.js";
import { nodeAddresses } from "../../kube/own-addresses.js";
import { podIpv4, podIpv6 } from "../../kube/controllers/endpoint-slices.js";
import { formatIp } from "../../wire/ip.js";
import type { PodState } from "../../kube/controllers/running-pods.js";
import { keyOf, type Loaded } from "../../kube/objects.js";
import type { ProxyConfig } from "../../kube/proxy/config.js";
import type { ClusterWorld } from "../world.js";

/** `10.244.1.6 ready, 10.244.2.5 terminating serving`, by `namespace/name` of the Service. */
export function endpointTexts({ endpointSlices }: Cluster): ReadonlyMap<string, string> {
  const texts = new Map<string, string[]>();
  for (const { object } of endpointSlices) {
    const service = object.metadata?.labels?.["kubernetes.io/service-name"];
    if (service === undefined) continue;
    const key = `${object.metadata?.namespace ?? "default"}/${service}`;
    const found = (object.endpoints ?? []).map(({ addresses, conditions }) => {
      const { ready = true, serving = true, terminating = false } = conditions ?? {};
      const state = terminating
        ? `terminating${serving ? " and serving" : ", not serving"}`
        : ready
          ? "ready"
          : "not ready";
      return `${addresses.join(",")} ${state}`;
    });
    texts.set(key, [...(texts.get(key) ?? []), ...found]);
  }
  return new Map(
    [...texts].map(([key, list]) => [key, list.length === 0 ? "none" : list.toSorted().join(", ")]),
  );
}

/** What was recorded of a node stands for what it was then; nobody knows what would become of it. */
export function refuseRecords({ records, name }: ClusterWorld): void {
  const [node] = records.keys();
  if (node === undefined) return;
  throw new UserError(
    "SCENARIO_RECORDED",
    `a scenario changes what is rendered, and node ${node} of ${name} is recorded`,
    { help: "leave the node's dumps out of the world" },
  );
}

/** Later syncs are known of one mode. */
export function refuseMode({ mode }: Pick<ProxyConfig, "mode">): void {
  if (mode === "iptables") return;
  throw new UserError("SCENARIO_PROXY", `kube-proxy mode "${mode}" is not modelled in a scenario`, {
    help: "only iptables is, for now",
  });
}

/** Nodes stay as they are. */
export function refuseNodes(before: Cluster, after: Cluster): void {
  const identity = ({ nodes }: Cluster): string =>
    nodes.map((node) => `${node.name} ${nodeAddresses(node).map(formatIp).join(" ")}`).join("\n");
  if (identity(before) === identity(after)) return;
  const known = new Set(before.nodes.map(({ name }) => name));
  const added = after.nodes.find(({ name }) => !known.has(name));
  const details: UserErrorDetails = added?.loaded.origin.details([], "value") ?? {};
  throw new UserError(
    "SCENARIO_NODES",
    "nodes that come, go or get another InternalIP are not modelled in a scenario",
    { ...details, help: "an address can be changed on the node itself: run: {NODE: ip addr …}" },
  );
}

/** A pod stays on its node and keeps its address, as the API server sees to it. */
export function refuseMove({ object, origin }: Loaded<Pod>, state: PodState | undefined): void {
  if (state === undefined) return;
  const name = `Pod ${keyOf(object)}`;
  const node = object.spec?.nodeName;
  if (node !== undefined && state.node !== undefined && node !== state.node)
    throw new UserError("SCENARIO_MOVE", `${name} runs on ${state.node} and cannot move`, {
      ...origin.details(["spec", "nodeName"], "value"),
      help: "delete it first",
    });
  const address = podIpv4(object) ?? podIpv6(object);
  if (address !== undefined && state.addresses.length > 0 && !state.addresses.includes(address))
    throw new UserError(
      "SCENARIO_MOVE",
      `${name} has the address ${state.addresses.join(" and ")}`,
      {
        ...origin.details(["status", "podIP"], "value"),
        help: "delete it first",
      },
    );
}
