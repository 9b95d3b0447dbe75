import { isMapping, type Mapping } from "../../kube/load/check.js";
import type { HasMetadata, Kind } from "../../kube/objects.js";

/** Fields of `spec` that the cluster fills in, by kind: a manifest without them does not take them away. */
const ALLOCATED: { readonly [K in Kind]?: readonly string[] } = {
  Service: ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"],
  Pod: ["nodeName"],
  Node: ["podCIDR", "podCIDRs", "providerID"],
};

/**
 * A manifest over an object that is there already: what it does not give and the server alone writes stays. Mirrors
 * pkg/registry/core/service/storage/storage.go:patchAllocatedValues() and the status strategies.
 */
export function keepServerFields(kind: Kind, old: HasMetadata, applied: HasMetadata): HasMetadata {
  const before: unknown = old;
  const after: unknown = applied;
  if (!isMapping(before) || !isMapping(after)) return applied;
  const spec = after["spec"];
  const oldSpec = before["spec"];
  const kept: Mapping = { ...after };
  if (kept["status"] === undefined && before["status"] !== undefined)
    kept["status"] = before["status"];
  if (isMapping(spec) && isMapping(oldSpec)) {
    const own: Mapping = { ...spec };
    const fields =
      kind === "Service" && spec["type"] === "ExternalName" ? [] : (ALLOCATED[kind] ?? []);
    for (const field of fields)
      if (own[field] === undefined && oldSpec[field] !== undefined) own[field] = oldSpec[field];
    if (kind === "Service") keepNodePorts(own, oldSpec);
    kept["spec"] = own;
  }
  return kept as HasMetadata;
}

/** A port that had a node port keeps it, when the Service still has node ports. */
function keepNodePorts(spec: Mapping, old: Mapping): void {
  const { ports } = spec;
  const before = old["ports"];
  if (!/^(NodePort|LoadBalancer)$/.test(String(spec["type"])) || !Array.isArray(ports)) return;
  const known: readonly unknown[] = Array.isArray(before) ? before : [];
  spec["ports"] = ports.map((port: unknown) => {
    if (!isMapping(port) || port["nodePort"] !== undefined) return port;
    const same = known.find(
      (one) =>
        isMapping(one) &&
        one["port"] === port["port"] &&
        (one["protocol"] ?? "TCP") === (port["protocol"] ?? "TCP"),
    );
    const nodePort = isMapping(same) ? same["nodePort"] : undefined;
    return nodePort === undefined ? port : { ...port, nodePort };
  });
}
