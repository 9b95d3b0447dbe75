import { deliver, drop } from "../core/drop.js";
import type { SkBuff } from "../core/skbuff.js";
import { type ConfigurationBpdu, decodeBpdu } from "../wire/bpdu.js";
import type { BridgePort } from "./bridge-port.js";
import type { SpanningTree } from "./stp.js";
import { fromTicks } from "./stp-messages.js";
import { supersedes } from "./stp-order.js";

/** A frame to the bridges' group came in by a port. Mirrors net/bridge/br_stp_bpdu.c:br_stp_rcv(). */
export function receiveBpdu(skb: SkBuff, port: BridgePort): void {
  const { payload, link } = skb.frame;
  const read = decodeBpdu(payload);
  if (!read.ok || link.etherType > payload.length) return drop(skb, "NOT_SPECIFIED", "stp_pdu_rcv");
  deliver(skb, "spanning tree");
  const { stp: tree, up } = port.bridge;
  if (!up || port.state === "disabled") return;
  const bpdu = read.value;
  if (bpdu.kind === "tcn") receivedTcn(tree, port);
  else if (bpdu.messageAge <= bpdu.maxAge) receivedConfiguration(tree, port, bpdu);
}

/** Mirrors net/bridge/br_stp.c:br_received_config_bpdu(). */
function receivedConfiguration(
  tree: SpanningTree,
  port: BridgePort,
  bpdu: ConfigurationBpdu,
): void {
  const { stp } = port;
  const wasRoot = tree.isRoot;
  if (!supersedes(stp, bpdu, tree.id)) {
    if (stp.isDesignatedOf(tree.id)) tree.transmit(stp);
    return;
  }
  stp.record(bpdu);
  tree.selectRoles();
  tree.selectStates();
  if (!tree.isRoot && wasRoot) {
    tree.hello.stop();
    if (tree.topologyChangeDetected) {
      tree.topology.stop();
      tree.transmitTcn();
      tree.tcn.start(tree.own.helloTime);
    }
  }
  if (port.number !== tree.rootPort) return;
  tree.times = {
    maxAge: fromTicks(bpdu.maxAge),
    helloTime: fromTicks(bpdu.helloTime),
    forwardDelay: fromTicks(bpdu.forwardDelay),
  };
  tree.setTopologyChange(bpdu.topologyChange);
  tree.generate();
  if (!bpdu.acknowledged) return;
  tree.topologyChangeDetected = false;
  tree.tcn.stop();
}

/** Mirrors br_received_tcn_bpdu(). */
function receivedTcn(tree: SpanningTree, { stp }: BridgePort): void {
  if (!stp.isDesignatedOf(tree.id)) return;
  tree.detectTopologyChange();
  stp.topologyChangeAck = true;
  tree.transmit(stp);
}
