import type { Micros } from "../sim/time.js";
import { type BridgeId, compareBridgeIds } from "../wire/bpdu.js";
import { type Mac, MAC_ZERO } from "../wire/ip.js";
import type { SpanningTree } from "./stp.js";
import { KernelTimer } from "./kernel-timer.js";
import type { BridgePort } from "./bridge-port.js";

/** Port priorities are 0..63 above the ten bits of the port's number. */
const PORT_NUMBER_BITS = 10;
const NOBODY: BridgeId = { priority: 0, mac: MAC_ZERO };

/** What spanning tree knows of a port: the best message heard there. Mirrors the part of struct net_bridge_port that is under its lock. */
export class StpPort {
  readonly port: BridgePort;
  /** 0..63. */
  priority = 32;
  /** 1..65535. */
  pathCost: number;
  id: number;
  designatedRoot: BridgeId = NOBODY;
  designatedCost = 0;
  designatedBridge: BridgeId = NOBODY;
  designatedPort = 0;
  /** When the root sent what the message tells. */
  designatedAge: Micros;
  topologyChangeAck = false;
  /** A message waits for the hold timer. */
  configPending = false;
  readonly messageAge: KernelTimer;
  readonly forwardDelay: KernelTimer;
  readonly hold: KernelTimer;

  constructor(port: BridgePort, tree: SpanningTree) {
    const { queue } = port.bridge.ns.sim;
    const { name } = port.dev;
    this.port = port;
    this.pathCost = pathCostOf(port.dev.kind);
    this.id = portId(this.priority, port.number);
    this.designatedAge = queue.now;
    this.messageAge = new KernelTimer(queue, `${name} message age`, () =>
      tree.messageAgeExpired(this),
    );
    this.forwardDelay = new KernelTimer(queue, `${name} forward delay`, () =>
      tree.forwardDelayExpired(this),
    );
    this.hold = new KernelTimer(queue, `${name} hold`, () => tree.holdExpired(this));
  }

  /** Whether this port is the one that connects its segment to the root. Mirrors br_is_designated_port(). */
  isDesignatedOf(bridge: BridgeId): boolean {
    return compareBridgeIds(this.designatedBridge, bridge) === 0 && this.designatedPort === this.id;
  }

  /** The bridge has another address. */
  rename(from: Mac, to: Mac): void {
    const renamed = (id: BridgeId): BridgeId => (id.mac === from ? { ...id, mac: to } : id);
    this.designatedBridge = renamed(this.designatedBridge);
    this.designatedRoot = renamed(this.designatedRoot);
  }

  stopTimers(): void {
    for (const timer of [this.messageAge, this.forwardDelay, this.hold]) timer.stop();
  }
}

/** Mirrors net/bridge/br_stp_if.c:br_make_port_id(). */
export function portId(priority: number, number: number): number {
  return (priority << PORT_NUMBER_BITS) | number;
}

/** Devices that tell a speed tell 10 Gbit/s, the others none. Mirrors net/bridge/br_if.c:port_cost(). */
function pathCostOf(kind: string): number {
  return kind === "vxlan" || kind === "dummy" ? 100 : 2;
}
