import { later, type Micros, milliseconds, seconds } from "../sim/time.js";
import { type BridgeId, compareBridgeIds, type ConfigurationBpdu } from "../wire/bpdu.js";
import type { Mac } from "../wire/ip.js";
import type { BridgeDevice } from "./bridge.js";
import type { BridgePort } from "./bridge-port.js";
import { fromTicks, sendConfiguration, sendTcn } from "./stp-messages.js";
import { betterRootPort, shouldBeDesignated, supersedes } from "./stp-order.js";
import { portId, type StpPort } from "./stp-port.js";
import { KernelTimer } from "./kernel-timer.js";

/** Between two messages of one port at least. */
const HOLD_TIME = seconds(1);

const MAX_PORT_PRIORITY = 63;
const MAX_PATH_COST = 65_535;

/** What the root says, or what a bridge says that is the root. */
interface Times {
  readonly maxAge: Micros;
  readonly helloTime: Micros;
  readonly forwardDelay: Micros;
}

/**
 * Spanning tree of one bridge (IEEE 802.1D-1998). Without the protocol the same functions let ports that work forward at
 * once:
 *
 *     disabled -> blocking -> listening -> learning -> forwarding
 *                    ^            |            |           |
 *                    +------------+------------+-----------+   neither root port nor designated
 *
 * Differs: hello and hold timers are not rounded to whole seconds. Mirrors net/bridge/br_stp.c.
 */
export class SpanningTree {
  readonly bridge: BridgeDevice;
  /** `stp_state 1`. */
  enabled = false;
  priority = 0x8000;
  /** What this bridge says while it is the root. */
  own: Times = { maxAge: seconds(20), helloTime: seconds(2), forwardDelay: seconds(15) };
  /** What counts. */
  times: Times = this.own;
  designatedRoot: BridgeId;
  rootPathCost = 0;
  /** The port's number; 0 for the root bridge. */
  rootPort = 0;
  topologyChange = false;
  topologyChangeDetected = false;
  readonly hello: KernelTimer;
  readonly tcn: KernelTimer;
  readonly topology: KernelTimer;
  #ageing: Micros | undefined;

  constructor(bridge: BridgeDevice) {
    const { queue } = bridge.ns.sim;
    this.bridge = bridge;
    this.designatedRoot = { priority: this.priority, mac: bridge.mac };
    this.hello = new KernelTimer(queue, `${bridge.name} hello`, () => this.#helloExpired());
    this.tcn = new KernelTimer(queue, `${bridge.name} tcn`, () => this.#tcnExpired());
    this.topology = new KernelTimer(queue, `${bridge.name} topology change`, () => {
      this.topologyChangeDetected = false;
      this.setTopologyChange(false);
    });
  }

  get id(): BridgeId {
    return { priority: this.priority, mac: this.bridge.mac };
  }

  get isRoot(): boolean {
    return compareBridgeIds(this.id, this.designatedRoot) === 0;
  }

  /** Mirrors net/bridge/br_stp_if.c:br_stp_set_enabled() for the kernel's own protocol. Ports that forward go on. */
  setEnabled(on: boolean): void {
    if (on === this.enabled) return;
    this.enabled = on;
    if (!on) return;
    if (this.bridge.up) this.hello.start(this.times.helloTime);
    this.selectStates();
  }

  /** Mirrors br_stp_enable_bridge(); ports follow. */
  bridgeUp(): void {
    if (this.enabled) this.hello.start(this.times.helloTime);
    this.#generate();
  }

  /** Mirrors br_stp_disable_bridge(); ports went before. */
  bridgeDown(): void {
    this.setTopologyChange(false);
    this.topologyChangeDetected = false;
    for (const timer of [this.hello, this.tcn, this.topology]) timer.stop();
  }

  /** Mirrors br_stp_enable_port(). */
  enablePort({ stp }: BridgePort): void {
    this.#becomeDesignated(stp);
    stp.port.state = "blocking";
    stp.topologyChangeAck = false;
    stp.configPending = false;
    this.selectStates();
  }

  /** Mirrors br_stp_disable_port(). */
  disablePort(port: BridgePort): void {
    const wasRoot = this.isRoot;
    const { stp } = port;
    this.#becomeDesignated(stp);
    port.state = "disabled";
    stp.topologyChangeAck = false;
    stp.configPending = false;
    stp.stopTimers();
    this.bridge.fdb.flushPort(port, false);
    this.bridge.multicast.disablePort(port);
    this.update(wasRoot);
  }

  /** The bridge has another address. Mirrors br_stp_change_bridge_id(). */
  renamed(from: Mac, wasRoot: boolean): void {
    for (const { stp } of this.bridge.ports) stp.rename(from, this.bridge.mac);
    this.update(wasRoot);
  }

  /** Mirrors br_stp_set_bridge_priority(). */
  setPriority(priority: number): void {
    const wasRoot = this.isRoot;
    const before = this.id;
    const mine = this.bridge.ports.filter(({ stp }) => stp.isDesignatedOf(before));
    this.priority = priority;
    for (const { stp, state } of mine) if (state !== "disabled") stp.designatedBridge = this.id;
    this.update(wasRoot);
  }

  /** False for one that is out of range. Mirrors br_stp_set_port_priority(). */
  setPortPriority(stp: StpPort, priority: number): boolean {
    if (priority > MAX_PORT_PRIORITY) return false;
    const id = portId(priority, stp.port.number);
    if (stp.isDesignatedOf(this.id)) stp.designatedPort = id;
    stp.id = id;
    stp.priority = priority;
    const own = compareBridgeIds(this.id, stp.designatedBridge) === 0;
    if (own && stp.id < stp.designatedPort) {
      this.#becomeDesignated(stp);
      this.selectStates();
    }
    return true;
  }

  /** False for one that is out of range. Mirrors br_stp_set_path_cost(). */
  setPathCost(stp: StpPort, cost: number): boolean {
    if (cost < 1 || cost > MAX_PATH_COST) return false;
    stp.pathCost = cost;
    this.#selectRoles();
    this.selectStates();
    return true;
  }

  /** Mirrors br_set_forward_delay(), br_set_hello_time() and br_set_max_age(). */
  setTimes(times: Partial<Times>): void {
    this.own = { ...this.own, ...times };
    if (this.isRoot) this.times = this.own;
  }

  /** Roles and states anew; whoever becomes the root says so. Mirrors br_configuration_update(). */
  update(wasRoot: boolean): void {
    this.#selectRoles();
    this.selectStates();
    if (this.isRoot && !wasRoot) this.#becomeRoot();
  }

  /** Mirrors br_port_state_selection(). */
  selectStates(): void {
    for (const port of this.bridge.ports) {
      const { stp } = port;
      if (port.state === "disabled") continue;
      const isRootPort = port.number === this.rootPort;
      if (isRootPort || !stp.isDesignatedOf(this.id)) {
        stp.configPending = false;
        stp.topologyChangeAck = false;
      }
      if (isRootPort) this.#makeForwarding(stp);
      else if (stp.isDesignatedOf(this.id)) {
        stp.messageAge.stop();
        this.#makeForwarding(stp);
      } else this.#makeBlocking(stp);
    }
    this.bridge.setCarrier(this.bridge.ports.some(({ state }) => state === "forwarding"));
  }

  /** A configuration message came in. Mirrors br_received_config_bpdu(). */
  receivedConfiguration(port: BridgePort, bpdu: ConfigurationBpdu): void {
    const { stp } = port;
    const wasRoot = this.isRoot;
    if (!supersedes(stp, bpdu, this.id)) {
      if (stp.isDesignatedOf(this.id)) this.transmit(stp);
      return;
    }
    this.#record(stp, bpdu);
    this.#selectRoles();
    this.selectStates();
    if (!this.isRoot && wasRoot) {
      this.hello.stop();
      if (this.topologyChangeDetected) {
        this.topology.stop();
        this.#transmitTcn();
        this.tcn.start(this.own.helloTime);
      }
    }
    if (port.number !== this.rootPort) return;
    this.times = {
      maxAge: fromTicks(bpdu.maxAge),
      helloTime: fromTicks(bpdu.helloTime),
      forwardDelay: fromTicks(bpdu.forwardDelay),
    };
    this.setTopologyChange(bpdu.topologyChange);
    this.#generate();
    if (!bpdu.acknowledged) return;
    this.topologyChangeDetected = false;
    this.tcn.stop();
  }

  /** Mirrors br_received_tcn_bpdu(). */
  receivedTcn({ stp }: BridgePort): void {
    if (!stp.isDesignatedOf(this.id)) return;
    this.detectTopologyChange();
    stp.topologyChangeAck = true;
    this.transmit(stp);
  }

  /** While the topology changes, addresses are forgotten sooner. Mirrors __br_set_topology_change(). */
  setTopologyChange(on: boolean): void {
    if (this.enabled && on !== this.topologyChange) {
      const { fdb } = this.bridge;
      if (on) {
        this.#ageing = fdb.ageing;
        fdb.ageing = (2 * this.times.forwardDelay) as Micros;
      } else if (this.#ageing !== undefined) fdb.ageing = this.#ageing;
    }
    this.topologyChange = on;
  }

  /** Mirrors br_topology_change_detection(). */
  detectTopologyChange(): void {
    if (!this.enabled) return;
    if (this.isRoot) {
      this.setTopologyChange(true);
      this.topology.start(later(this.own.forwardDelay, this.own.maxAge));
    } else if (!this.topologyChangeDetected) {
      this.#transmitTcn();
      this.tcn.start(this.own.helloTime);
    }
    this.topologyChangeDetected = true;
  }

  /** At most one message a second. Mirrors br_transmit_config(). */
  transmit(stp: StpPort): void {
    if (stp.hold.pending) {
      stp.configPending = true;
      return;
    }
    if (!sendConfiguration(this, stp)) return;
    stp.topologyChangeAck = false;
    stp.configPending = false;
    if (this.enabled) stp.hold.start(HOLD_TIME);
  }

  holdExpired(stp: StpPort): void {
    if (stp.configPending) this.transmit(stp);
  }

  /** The neighbour fell silent. Mirrors br_message_age_timer_expired(). */
  messageAgeExpired(stp: StpPort): void {
    if (stp.port.state === "disabled") return;
    const wasRoot = this.isRoot;
    this.#becomeDesignated(stp);
    this.update(wasRoot);
  }

  /** Mirrors br_forward_delay_timer_expired(). */
  forwardDelayExpired({ port, forwardDelay }: StpPort): void {
    if (port.state === "listening") {
      port.state = "learning";
      forwardDelay.start(this.times.forwardDelay);
    } else if (port.state === "learning") {
      port.state = "forwarding";
      if (this.#isDesignatedSomewhere()) this.detectTopologyChange();
      this.bridge.setCarrier(true);
    }
  }

  #helloExpired(): void {
    if (!this.bridge.up) return;
    this.#generate();
    if (this.enabled) this.hello.start(this.times.helloTime);
  }

  #tcnExpired(): void {
    if (this.isRoot || !this.bridge.up) return;
    this.#transmitTcn();
    this.tcn.start(this.own.helloTime);
  }

  /** Mirrors br_config_bpdu_generation(). */
  #generate(): void {
    for (const { stp, state } of this.bridge.ports)
      if (state !== "disabled" && stp.isDesignatedOf(this.id)) this.transmit(stp);
  }

  #transmitTcn(): void {
    const root = this.bridge.ports.find(({ number }) => number === this.rootPort);
    if (root !== undefined) sendTcn(this, root.stp);
  }

  /** Mirrors br_become_root_bridge(). */
  #becomeRoot(): void {
    this.times = this.own;
    this.detectTopologyChange();
    this.tcn.stop();
    if (!this.bridge.up) return;
    this.#generate();
    this.hello.start(this.times.helloTime);
  }

  /** Mirrors br_root_selection() and br_designated_port_selection(). */
  #selectRoles(): void {
    const { ports } = this.bridge;
    const root = ports.reduce<StpPort | undefined>(
      (best, { stp }) => (betterRootPort(stp, best, this.id) ? stp : best),
      undefined,
    );
    this.rootPort = root?.port.number ?? 0;
    this.designatedRoot = root?.designatedRoot ?? this.id;
    this.rootPathCost = root === undefined ? 0 : root.designatedCost + root.pathCost;
    for (const { stp, state } of ports)
      if (state !== "disabled" && shouldBeDesignated(stp, this)) this.#becomeDesignated(stp);
  }

  #becomeDesignated(stp: StpPort): void {
    stp.designatedRoot = this.designatedRoot;
    stp.designatedCost = this.rootPathCost;
    stp.designatedBridge = this.id;
    stp.designatedPort = stp.id;
  }

  /** Mirrors br_record_config_information(). */
  #record(stp: StpPort, bpdu: ConfigurationBpdu): void {
    const age = fromTicks(bpdu.messageAge);
    stp.designatedRoot = bpdu.root;
    stp.designatedCost = bpdu.rootPathCost;
    stp.designatedBridge = bpdu.bridge;
    stp.designatedPort = bpdu.port;
    stp.designatedAge = (this.bridge.ns.sim.queue.now - age) as Micros;
    stp.messageAge.start((fromTicks(bpdu.maxAge) - age) as Micros);
  }

  #makeBlocking({ port, forwardDelay }: StpPort): void {
    if (port.state === "blocking") return;
    if (port.state === "forwarding" || port.state === "learning") this.detectTopologyChange();
    port.state = "blocking";
    forwardDelay.stop();
  }

  #makeForwarding({ port, forwardDelay }: StpPort): void {
    if (port.state !== "blocking") return;
    this.bridge.multicast.enablePort(port);
    if (!this.enabled || this.times.forwardDelay === milliseconds(0)) {
      port.state = "forwarding";
      this.detectTopologyChange();
      forwardDelay.stop();
      return;
    }
    port.state = "listening";
    forwardDelay.start(this.times.forwardDelay);
  }

  #isDesignatedSomewhere(): boolean {
    return this.bridge.ports.some(
      ({ stp, state }) =>
        state !== "disabled" && compareBridgeIds(stp.designatedBridge, this.id) === 0,
    );
  }
}
