import { later, type Micros, seconds } from "../sim/time.js";
import { type BridgeId, compareBridgeIds } from "../wire/bpdu.js";
import type { Mac } from "../wire/ip.js";
import type { BridgeDevice } from "./bridge.js";
import { sendConfiguration, sendTcn } from "./stp-messages.js";
import { betterRootPort, shouldBeDesignated } from "./stp-order.js";
import type { StpPort } from "./stp-port.js";
import { KernelTimer } from "./kernel-timer.js";

/** Between two messages of one port at least. */
const HOLD_TIME = seconds(1);

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
    this.generate();
  }

  /** Mirrors br_stp_disable_bridge(); ports went before. */
  bridgeDown(): void {
    this.setTopologyChange(false);
    this.topologyChangeDetected = false;
    for (const timer of [this.hello, this.tcn, this.topology]) timer.stop();
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

  /** Mirrors br_set_forward_delay(), br_set_hello_time() and br_set_max_age(). */
  setTimes(times: Partial<Times>): void {
    this.own = { ...this.own, ...times };
    if (this.isRoot) this.times = this.own;
  }

  /** Roles and states anew; whoever becomes the root says so. Mirrors br_configuration_update(). */
  update(wasRoot: boolean): void {
    this.selectRoles();
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
      if (isRootPort) stp.makeForwarding();
      else if (stp.isDesignatedOf(this.id)) {
        stp.messageAge.stop();
        stp.makeForwarding();
      } else stp.makeBlocking();
    }
    this.bridge.setCarrier(this.bridge.ports.some(({ state }) => state === "forwarding"));
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
      this.transmitTcn();
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

  #helloExpired(): void {
    if (!this.bridge.up) return;
    this.generate();
    if (this.enabled) this.hello.start(this.times.helloTime);
  }

  #tcnExpired(): void {
    if (this.isRoot || !this.bridge.up) return;
    this.transmitTcn();
    this.tcn.start(this.own.helloTime);
  }

  /** Mirrors br_config_bpdu_generation(). */
  generate(): void {
    for (const { stp, state } of this.bridge.ports)
      if (state !== "disabled" && stp.isDesignatedOf(this.id)) this.transmit(stp);
  }

  transmitTcn(): void {
    const root = this.bridge.ports.find(({ number }) => number === this.rootPort);
    if (root !== undefined) sendTcn(this, root.stp);
  }

  /** Mirrors br_become_root_bridge(). */
  #becomeRoot(): void {
    this.times = this.own;
    this.detectTopologyChange();
    this.tcn.stop();
    if (!this.bridge.up) return;
    this.generate();
    this.hello.start(this.times.helloTime);
  }

  /** Mirrors br_root_selection() and br_designated_port_selection(). */
  selectRoles(): void {
    const { ports } = this.bridge;
    const root = ports.reduce<StpPort | undefined>(
      (best, { stp }) => (betterRootPort(stp, best, this.id) ? stp : best),
      undefined,
    );
    this.rootPort = root?.port.number ?? 0;
    this.designatedRoot = root?.designatedRoot ?? this.id;
    this.rootPathCost = root === undefined ? 0 : root.designatedCost + root.pathCost;
    for (const { stp, state } of ports)
      if (state !== "disabled" && shouldBeDesignated(stp, this)) stp.becomeDesignated();
  }

  isDesignatedSomewhere(): boolean {
    return this.bridge.ports.some(
      ({ stp, state }) =>
        state !== "disabled" && compareBridgeIds(stp.designatedBridge, this.id) === 0,
    );
  }
}
