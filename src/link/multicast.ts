import { internet } from "../core/internet.js";
import { type Micros, milliseconds, seconds } from "../sim/time.js";
import { type IpAddress, isIpv6LinkLocal } from "../wire/ip.js";
import type { BridgeDevice } from "./bridge.js";
import type { BridgePort } from "./bridge-port.js";
import { KernelTimer } from "./kernel-timer.js";
import { MulticastDb } from "./multicast-db.js";
import { queryHost, queryPort } from "./multicast-query.js";

/** IGMP or MLD. */
export type GroupFamily = "ipv4" | "ipv6";
export const GROUP_FAMILIES: readonly GroupFamily[] = ["ipv4", "ipv6"];

/** Queries that are sent by one timer: those of the bridge itself, or of one port. Mirrors struct bridge_mcast_own_query. */
export interface OwnQuery {
  readonly timer: KernelTimer;
  startupSent: number;
}

/** What a bridge knows of the queriers of one family. */
interface Queriers {
  readonly own: OwnQuery;
  /** Runs while somebody else asks. */
  readonly other: KernelTimer;
  /** Runs while the answers to the first query are still awaited. */
  readonly delay: KernelTimer;
  /** Runs while the bridge's own host asks: then it counts as a router. */
  readonly hostRouter: KernelTimer;
  address: IpAddress | undefined;
}

/** A port's part in multicast. Mirrors struct net_bridge_mcast_port. */
export interface PortMulticast {
  /** 0 never has a router, 1 has one while it is heard, 2 always. */
  routerSetting: number;
  readonly own: Readonly<Record<GroupFamily, OwnQuery>>;
  readonly router: Readonly<Record<GroupFamily, KernelTimer>>;
}

/** Settings that only count or last; times are in their names of `ip link … type bridge`. */
export interface MulticastTimes {
  lastMemberCount: number;
  startupQueryCount: number;
  lastMemberInterval: Micros;
  membershipInterval: Micros;
  querierInterval: Micros;
  queryInterval: Micros;
  queryResponseInterval: Micros;
  startupQueryInterval: Micros;
}

/** Which groups are wanted where, and who asks. IGMP version 2, MLD version 1. Mirrors net/bridge/br_multicast.c. */
export class BridgeMulticast {
  readonly bridge: BridgeDevice;
  readonly groups: MulticastDb;
  /** `mcast_snooping`. */
  snooping = true;
  /** `mcast_router` of the bridge itself, as for a port. */
  routerSetting = 1;
  /** `mcast_query_use_ifaddr`: queries carry an address of the bridge. */
  useAddress = false;
  readonly times: MulticastTimes = {
    lastMemberCount: 2,
    startupQueryCount: 2,
    lastMemberInterval: seconds(1),
    membershipInterval: seconds(260),
    querierInterval: seconds(255),
    queryInterval: seconds(125),
    queryResponseInterval: seconds(10),
    startupQueryInterval: milliseconds(31_250),
  };
  readonly #queriers: Readonly<Record<GroupFamily, Queriers>>;
  #querier = false;

  constructor(bridge: BridgeDevice) {
    this.bridge = bridge;
    this.groups = new MulticastDb(bridge.ns.sim.queue);
    this.#queriers = { ipv4: this.#makeQueriers("ipv4"), ipv6: this.#makeQueriers("ipv6") };
  }

  /** `mcast_querier`. */
  get querier(): boolean {
    return this.#querier;
  }

  /** Mirrors br_multicast_set_querier(). */
  setQuerier(on: boolean): void {
    if (on === this.#querier) return;
    this.#querier = on;
    if (!on) return;
    for (const family of GROUP_FAMILIES) {
      const { other, delay } = this.#queriers[family];
      if (!other.pending) delay.start(this.times.queryResponseInterval);
      this.#startQuerier(family);
    }
  }

  /** Mirrors br_multicast_toggle(). */
  setSnooping(on: boolean): void {
    if (on === this.snooping) return;
    this.snooping = on;
    if (on) this.opened();
  }

  /** The bridge came up. Mirrors br_multicast_open(). */
  opened(): void {
    for (const family of GROUP_FAMILIES) this.#startQuerier(family);
  }

  /** The bridge went down. Mirrors br_multicast_stop(). */
  stopped(): void {
    for (const family of GROUP_FAMILIES) {
      const { own, other, delay, hostRouter } = this.#queriers[family];
      for (const timer of [own.timer, other, delay, hostRouter]) timer.stop();
    }
  }

  /** Whether somebody asks for groups, and has had time to hear answers: only then is what nobody wants not sent. Mirrors br_multicast_querier_exists(). */
  querierExists(family: GroupFamily): boolean {
    const { delay, other } = this.#queriers[family];
    if (delay.pending) return false;
    return (
      other.pending || (this.#querier && (family === "ipv4" || this.#ownAddress() !== undefined))
    );
  }

  otherQuerierExists(family: GroupFamily): boolean {
    return this.#queriers[family].other.pending;
  }

  /** Whether the bridge's host is a router for groups. Mirrors br_multicast_is_router(). */
  hostIsRouter(family: GroupFamily): boolean {
    if (this.routerSetting === 2) return true;
    return this.routerSetting === 1 && this.#queriers[family].hostRouter.pending;
  }

  /** The ports with a router behind them. */
  routerPorts(family: GroupFamily): readonly BridgePort[] {
    return this.bridge.ports.filter(
      ({ multicast }) => multicast.routerSetting === 2 || multicast.router[family].pending,
    );
  }

  /** Somebody asks for all groups: whoever has the lowest address goes on. Mirrors br_ip4_multicast_query_received(). */
  heardQuerier(
    family: GroupFamily,
    port: BridgePort | undefined,
    source: IpAddress,
    maxDelay: Micros,
  ): void {
    const queriers = this.#queriers[family];
    const { own, other, delay } = queriers;
    const free = !own.timer.pending && !other.pending;
    const known = queriers.address;
    if (!free && known !== undefined && known !== 0 && known !== 0n && source > known) return;
    queriers.address = source;
    if (!other.pending) delay.start(maxDelay);
    other.start(this.times.querierInterval);
    this.#markRouter(family, port);
  }

  /** The state of a new port. */
  makePort(port: () => BridgePort, name: string): PortMulticast {
    const { queue } = this.bridge.ns.sim;
    const own = (family: GroupFamily): OwnQuery => ({
      timer: new KernelTimer(queue, `${name} ${family} query`, () =>
        this.#portQueryExpired(family, port()),
      ),
      startupSent: 0,
    });
    const router = (family: GroupFamily): KernelTimer =>
      new KernelTimer(queue, `${name} ${family} router`, () => undefined);
    return {
      routerSetting: 1,
      own: { ipv4: own("ipv4"), ipv6: own("ipv6") },
      router: { ipv4: router("ipv4"), ipv6: router("ipv6") },
    };
  }

  /** A port works: it is asked at once. Mirrors br_multicast_enable_port(). */
  enablePort({ multicast }: BridgePort): void {
    if (!this.#querier || !this.snooping || !this.bridge.up) return;
    for (const family of GROUP_FAMILIES) {
      multicast.own[family].startupSent = 0;
      multicast.own[family].timer.start(milliseconds(0));
    }
  }

  /** Mirrors br_multicast_disable_port(). */
  disablePort(port: BridgePort): void {
    this.groups.flushPort(port, false);
    for (const family of GROUP_FAMILIES) {
      port.multicast.own[family].timer.stop();
      port.multicast.router[family].stop();
    }
  }

  #makeQueriers(family: GroupFamily): Queriers {
    const { name, ns } = this.bridge;
    const timer = (what: string, expired: () => void): KernelTimer =>
      new KernelTimer(ns.sim.queue, `${name} ${family} ${what}`, expired);
    return {
      own: { timer: timer("query", () => this.#queryExpired(family)), startupSent: 0 },
      other: timer("other querier", () => this.#otherExpired(family)),
      delay: timer("answers", () => undefined),
      hostRouter: timer("router", () => undefined),
      address: undefined,
    };
  }

  /** Mirrors br_multicast_start_querier(). */
  #startQuerier(family: GroupFamily): void {
    if (!this.#querier || !this.snooping || !this.bridge.up) return;
    const { own } = this.#queriers[family];
    own.startupSent = 0;
    own.timer.start(milliseconds(0));
    for (const port of this.bridge.ports) {
      if (port.state === "disabled" || port.state === "blocking") continue;
      port.multicast.own[family].startupSent = 0;
      port.multicast.own[family].timer.start(milliseconds(0));
    }
  }

  /** Mirrors br_multicast_query_expired(). */
  #queryExpired(family: GroupFamily): void {
    const { own } = this.#queriers[family];
    own.startupSent = Math.min(own.startupSent + 1, this.times.startupQueryCount);
    if (!this.#mayQuery(family)) return;
    this.#queriers[family].address = queryHost(this, family);
    own.timer.start(this.#nextQuery(own));
  }

  /** Mirrors br_multicast_port_query_expired(). */
  #portQueryExpired(family: GroupFamily, port: BridgePort): void {
    if (port.state === "disabled" || port.state === "blocking") return;
    const own = port.multicast.own[family];
    own.startupSent = Math.min(own.startupSent + 1, this.times.startupQueryCount);
    if (!this.#mayQuery(family)) return;
    queryPort(this, family, port);
    own.timer.start(this.#nextQuery(own));
  }

  #mayQuery(family: GroupFamily): boolean {
    return this.#querier && this.snooping && !this.#queriers[family].other.pending;
  }

  #nextQuery({ startupSent }: OwnQuery): Micros {
    const { startupQueryCount, startupQueryInterval, queryInterval } = this.times;
    return startupSent < startupQueryCount ? startupQueryInterval : queryInterval;
  }

  /** The other querier fell silent. Mirrors br_multicast_querier_expired(). */
  #otherExpired(family: GroupFamily): void {
    this.#startQuerier(family);
  }

  /** Mirrors br_ip4_multicast_mark_router(). */
  #markRouter(family: GroupFamily, port: BridgePort | undefined): void {
    const { querierInterval } = this.times;
    if (port !== undefined) {
      if (port.multicast.routerSetting === 1) port.multicast.router[family].start(querierInterval);
    } else if (this.routerSetting === 1) this.#queriers[family].hostRouter.start(querierInterval);
  }

  /** MLD is asked from a link-local address. */
  #ownAddress(): IpAddress | undefined {
    return internet(this.bridge.ns)
      .addressesOf(this.bridge)
      .find((address) => typeof address === "bigint" && isIpv6LinkLocal(address));
  }
}
