import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import { endpointGates } from "../kube/proxy/cluster-settings.js";
import { renderNodeIptables } from "../kube/proxy/node-rules.js";
import { proxyNodeOf } from "../kube/local-addresses.js";
import { serviceState } from "../kube/proxy/service-state.js";
import { nodeRuleInputs, recordedAddresses } from "./cluster-lab.js";
import type { ClusterWorld } from "./world.js";

/** The rules that kubelet and kube-proxy write on one node, and the object that each line is there for. */
export interface NodeRules {
  /** For `iptables-restore --noflush`. */
  readonly text: string;
  /** By line, counting from 1: `Service shop/api`; lines that are there whatever the objects are missing. */
  readonly origins: ReadonlyMap<number, string>;
}

/**
 * Renders a node's rules from the world's objects alone; those of family 6 are for `ip6tables-restore`, and empty in a
 * cluster without IPv6. Throws UserError for a node that is not there.
 */
export function renderNodeRules(
  { cluster, name, records }: ClusterWorld,
  nodeName: string,
  family: 4 | 6 = 4,
): NodeRules {
  const node = cluster.nodes.find((one) => one.name === nodeName);
  if (node === undefined) {
    const near = nearest(
      nodeName,
      cluster.nodes.map((one) => one.name),
    );
    throw new UserError("NODE_UNKNOWN", `no node "${nodeName}" in ${name}`, {
      help: near === undefined ? undefined : `did you mean ${near}?`,
    });
  }
  const inputs = nodeRuleInputs(cluster);
  const { config } = inputs;
  const services = family === 4 ? inputs.services : inputs.services6;
  if (services === undefined) return { text: "", origins: new Map() };
  const proxied = proxyNodeOf(cluster, node, recordedAddresses(records.get(nodeName)));
  const { text, origins } = renderNodeIptables(
    serviceState(services, proxied, endpointGates(config)),
    proxied,
    config,
  );
  const byLine = new Map<number, string>();
  origins.forEach(({ objects: [first] }, index) => {
    if (first !== undefined)
      byLine.set(index + 1, `${first.kind} ${first.namespace}/${first.name}`);
  });
  return { text, origins: byLine };
}
