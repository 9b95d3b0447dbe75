import { type BridgeId, compareBridgeIds, type ConfigurationBpdu } from "../wire/bpdu.js";
import type { SpanningTree } from "./stp.js";
import type { StpPort } from "./stp-port.js";

/** Whether a port leads nearer to the root than the best so far. Mirrors net/bridge/br_stp.c:br_should_become_root_port(). */
export function betterRootPort(stp: StpPort, best: StpPort | undefined, id: BridgeId): boolean {
  if (stp.port.state === "disabled" || stp.isDesignatedOf(id)) return false;
  if (compareBridgeIds(id, stp.designatedRoot) <= 0) return false;
  if (best === undefined) return true;
  return (
    firstDifference([
      compareBridgeIds(stp.designatedRoot, best.designatedRoot),
      stp.designatedCost + stp.pathCost - (best.designatedCost + best.pathCost),
      compareBridgeIds(stp.designatedBridge, best.designatedBridge),
      stp.designatedPort - best.designatedPort,
      stp.id - best.id,
    ]) < 0
  );
}

/** Whether the bridge connects the port's segment to the root better than who does now. Mirrors br_should_become_designated_port(). */
export function shouldBeDesignated(stp: StpPort, tree: SpanningTree): boolean {
  if (stp.isDesignatedOf(tree.id)) return true;
  if (compareBridgeIds(stp.designatedRoot, tree.designatedRoot) !== 0) return true;
  return (
    firstDifference([
      tree.rootPathCost - stp.designatedCost,
      compareBridgeIds(tree.id, stp.designatedBridge),
      stp.id - stp.designatedPort,
    ]) < 0
  );
}

/** Whether a message is better than what the port heard before, or news of the same. Mirrors br_supersedes_port_info(). */
export function supersedes(stp: StpPort, bpdu: ConfigurationBpdu, id: BridgeId): boolean {
  const order = firstDifference([
    compareBridgeIds(bpdu.root, stp.designatedRoot),
    bpdu.rootPathCost - stp.designatedCost,
    compareBridgeIds(bpdu.bridge, stp.designatedBridge),
  ]);
  if (order !== 0) return order < 0;
  return compareBridgeIds(bpdu.bridge, id) !== 0 || bpdu.port <= stp.designatedPort;
}

function firstDifference(differences: readonly number[]): number {
  return differences.find((difference) => difference !== 0) ?? 0;
}
