import { devQueueXmit } from "../core/device.js";
import { nfHook } from "../core/hooks.js";
import { newSkb } from "../core/simulation.js";
import { microseconds, type Micros } from "../sim/time.js";
import { type Bpdu, encodeBpdu } from "../wire/bpdu.js";
import type { Mac } from "../wire/ip.js";
import type { BridgePort } from "./bridge-port.js";
import type { SpanningTree } from "./stp.js";
import type { StpPort } from "./stp-port.js";

/** 01:80:c2:00:00:00, all bridges. */
const GROUP_ADDRESS = 0x0180_c200_0000 as Mac;
/** A message is so much older at the next bridge: one tick of the kernel's clock. */
const MESSAGE_AGE_INCREMENT = microseconds(4_000);

/** False when what the bridge knows is too old to be told. Mirrors net/bridge/br_stp.c:br_transmit_config(). */
export function sendConfiguration(tree: SpanningTree, stp: StpPort): boolean {
  const { times } = tree;
  const root = tree.bridge.ports.find(({ number }) => number === tree.rootPort);
  const age =
    root === undefined
      ? microseconds(0)
      : microseconds(tree.bridge.ns.sim.queue.now - root.stp.designatedAge + MESSAGE_AGE_INCREMENT);
  if (age >= times.maxAge) return false;
  if (tree.enabled)
    send(stp.port, {
      kind: "configuration",
      topologyChange: tree.topologyChange,
      acknowledged: stp.topologyChangeAck,
      root: tree.designatedRoot,
      rootPathCost: tree.rootPathCost,
      bridge: tree.id,
      port: stp.id,
      messageAge: toTicks(age),
      maxAge: toTicks(times.maxAge),
      helloTime: toTicks(times.helloTime),
      forwardDelay: toTicks(times.forwardDelay),
    });
  return true;
}

/** Mirrors net/bridge/br_stp_bpdu.c:br_send_tcn_bpdu(). */
export function sendTcn(tree: SpanningTree, { port }: StpPort): void {
  if (tree.enabled) send(port, { kind: "tcn" });
}

/** Mirrors net/bridge/br_stp_bpdu.c:br_send_bpdu(). */
function send({ dev }: BridgePort, bpdu: Bpdu): void {
  const payload = encodeBpdu(bpdu);
  const link = { source: dev.mac, destination: GROUP_ADDRESS, etherType: payload.length };
  const frame = { link, network: undefined, transport: undefined, payload };
  const skb = newSkb(dev.ns, frame, "spanning tree");
  skb.dev = dev;
  const state = { hook: "OUTPUT", family: "bridge", ns: dev.ns, in: undefined, out: dev } as const;
  nfHook(skb, state, (last) => devQueueXmit(last, dev));
}

/** From 1/256 s, rounded up to the kernel's clock. Mirrors br_get_ticks(). */
export function fromTicks(ticks: number): Micros {
  return microseconds(Math.ceil((ticks * 250) / 256) * 4_000);
}

/** Mirrors br_set_ticks(). */
function toTicks(time: Micros): number {
  return Math.floor((256 * Math.floor(time / 4_000)) / 250);
}
