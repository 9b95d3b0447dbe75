import { milliseconds, type Micros } from "../sim/time.js";
import { type BridgeId, compareBridgeIds, type ConfigurationBpdu } from "../wire/bpdu.js";
import { type Mac, MAC_ZERO } from "../wire/ip.js";
import type { SpanningTree } from "./stp.js";
import { KernelTimer } from "./kernel-timer.js";
import type { BridgePort } from "./bridge-port.js";
import { fromTicks } from "./stp-messages.js";

/** Port priorities are 0..63 above the ten bits of the port's number. */
const PORT_NUMBER_BITS = 10;
const MAX_PRIORITY = 63;
const MAX_PATH_COST = 65_535;
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
  readonly #tree: SpanningTree;

  constructor(port: BridgePort, tree: SpanningTree) {
    const { queue } = port.bridge.ns.sim;
    const { name } = port.dev;
    this.#tree = tree;
    this.port = port;
    this.pathCost = pathCostOf(port.dev.kind);
    this.id = portId(this.priority, port.number);
    this.designatedAge = queue.now;
    this.messageAge = new KernelTimer(queue, `${name} message age`, () =>
      this.#messageAgeExpired(),
    );
    this.forwardDelay = new KernelTimer(queue, `${name} forward delay`, () =>
      this.#forwardDelayExpired(),
    );
    this.hold = new KernelTimer(queue, `${name} hold`, () => {
      if (this.configPending) tree.transmit(this);
    });
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

  /** Mirrors br_stp_enable_port(). */
  enable(): void {
    this.becomeDesignated();
    this.port.state = "blocking";
    this.topologyChangeAck = false;
    this.configPending = false;
    this.#tree.selectStates();
  }

  /** Mirrors br_stp_disable_port(). */
  disable(): void {
    const { port } = this;
    const wasRoot = this.#tree.isRoot;
    this.becomeDesignated();
    port.state = "disabled";
    this.topologyChangeAck = false;
    this.configPending = false;
    for (const timer of [this.messageAge, this.forwardDelay, this.hold]) timer.stop();
    port.bridge.fdb.flushPort(port, false);
    port.bridge.multicast.disablePort(port);
    this.#tree.update(wasRoot);
  }

  /** False for one that is out of range. Mirrors br_stp_set_port_priority(). */
  setPriority(priority: number): boolean {
    if (priority > MAX_PRIORITY) return false;
    const tree = this.#tree;
    const id = portId(priority, this.port.number);
    if (this.isDesignatedOf(tree.id)) this.designatedPort = id;
    this.id = id;
    this.priority = priority;
    const own = compareBridgeIds(tree.id, this.designatedBridge) === 0;
    if (own && this.id < this.designatedPort) {
      this.becomeDesignated();
      tree.selectStates();
    }
    return true;
  }

  /** False for one that is out of range. Mirrors br_stp_set_path_cost(). */
  setPathCost(cost: number): boolean {
    if (cost < 1 || cost > MAX_PATH_COST) return false;
    this.pathCost = cost;
    this.#tree.selectRoles();
    this.#tree.selectStates();
    return true;
  }

  becomeDesignated(): void {
    this.designatedRoot = this.#tree.designatedRoot;
    this.designatedCost = this.#tree.rootPathCost;
    this.designatedBridge = this.#tree.id;
    this.designatedPort = this.id;
  }

  /** Mirrors br_record_config_information(). */
  record(bpdu: ConfigurationBpdu): void {
    const age = fromTicks(bpdu.messageAge);
    this.designatedRoot = bpdu.root;
    this.designatedCost = bpdu.rootPathCost;
    this.designatedBridge = bpdu.bridge;
    this.designatedPort = bpdu.port;
    this.designatedAge = (this.port.bridge.ns.sim.queue.now - age) as Micros;
    this.messageAge.start((fromTicks(bpdu.maxAge) - age) as Micros);
  }

  makeBlocking(): void {
    const { port } = this;
    if (port.state === "blocking") return;
    if (port.state === "forwarding" || port.state === "learning") this.#tree.detectTopologyChange();
    port.state = "blocking";
    this.forwardDelay.stop();
  }

  makeForwarding(): void {
    const { port, forwardDelay } = this;
    if (port.state !== "blocking") return;
    port.bridge.multicast.enablePort(port);
    const { enabled, times } = this.#tree;
    if (!enabled || times.forwardDelay === milliseconds(0)) {
      port.state = "forwarding";
      this.#tree.detectTopologyChange();
      forwardDelay.stop();
      return;
    }
    port.state = "listening";
    forwardDelay.start(times.forwardDelay);
  }

  /** The neighbour fell silent. Mirrors br_message_age_timer_expired(). */
  #messageAgeExpired(): void {
    if (this.port.state === "disabled") return;
    const wasRoot = this.#tree.isRoot;
    this.becomeDesignated();
    this.#tree.update(wasRoot);
  }

  /** Mirrors br_forward_delay_timer_expired(). */
  #forwardDelayExpired(): void {
    const { port } = this;
    if (port.state === "listening") {
      port.state = "learning";
      this.forwardDelay.start(this.#tree.times.forwardDelay);
    } else if (port.state === "learning") {
      port.state = "forwarding";
      if (this.#tree.isDesignatedSomewhere()) this.#tree.detectTopologyChange();
      port.bridge.setCarrier(true);
    }
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
