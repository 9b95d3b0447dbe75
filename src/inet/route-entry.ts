import type { NetDevice } from "../core/device.js";
import { drop, type DropReason } from "../core/drop.js";
import type { Errno, SendResult } from "../core/errno.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { Route, RouteType } from "../core/route.js";
import type { SkBuff } from "../core/skbuff.js";
import { told } from "../core/trace.js";
import { formatIp, type IpAddress, type Ipv4 } from "../wire/ip.js";
import { formatRoute } from "./fib-format.js";
import type { FibRoute } from "./fib-types.js";
import type { Fib6Route } from "./ipv6/fib-types.js";
import { routingGeneration } from "./generation.js";

/** What routes lead to. Filled in by `stack.ts`, because what they lead to routes packets itself. Mirrors the functions of struct dst_entry. */
export class RouteActions {
  localDeliver: (skb: SkBuff) => void = notSetUp;
  forward: (skb: SkBuff) => void = notSetUp;
  error: (skb: SkBuff) => void = notSetUp;
  output: (skb: SkBuff) => SendResult = notSetUp;
  multicastOutput: (skb: SkBuff) => SendResult = notSetUp;
}

function notSetUp(): never {
  throw new Error("the inet floor of this namespace is not set up");
}

export const routeActions: (ns: NetworkNamespace) => RouteActions = perNamespace(
  () => new RouteActions(),
);

interface RouteFields<A extends IpAddress> {
  readonly ns: NetworkNamespace;
  readonly type: RouteType;
  readonly dev: NetDevice;
  readonly gateway?: A | undefined;
  readonly source?: A | undefined;
  readonly mtu?: number | undefined;
  /** What a packet can be at most, whatever the device takes; IPv4's 65,535 unless given. */
  readonly largest?: number | undefined;
  readonly mtuLocked?: boolean | undefined;
  readonly error?: Errno | undefined;
  readonly redirect?: boolean | undefined;
  readonly realms?: number | undefined;
  /** IPv6: the address is one that several hosts may have. */
  readonly anycast?: boolean | undefined;
  /** IPv6: the device that the address belongs to, or that the packet leaves by. Mirrors rt6i_idev. */
  readonly owner?: NetDevice | undefined;
  /** IPv6: how long the prefix of the deciding entry is. */
  readonly prefixLength?: number | undefined;
  /** IPv6: what the route says packets start with. */
  readonly hopLimit?: number | undefined;
  /** The FIB entry that decided (IPv6: how it is printed), or words where none did. */
  readonly decidedBy: DecidedBy;
  readonly decidedBy6?: Fib6Route | undefined;
  readonly input: (skb: SkBuff) => void;
  readonly output: (skb: SkBuff) => SendResult;
}

type DecidedBy = FibRoute | (() => string) | string | undefined;

/** A routing decision. Mirrors struct rtable and struct rt6_info. */
export class RouteEntry<A extends IpAddress = Ipv4> implements Route {
  readonly type: RouteType;
  readonly dev: NetDevice;
  readonly gateway: A | undefined;
  readonly source: A | undefined;
  readonly mtu: number;
  /** The path's MTU is fixed by hand or too small to believe: DF is not set. */
  readonly mtuLocked: boolean;
  readonly error: Errno | undefined;
  readonly redirect: boolean;
  readonly realms: number;
  readonly anycast: boolean;
  readonly owner: NetDevice;
  readonly prefixLength: number;
  readonly hopLimit: number | undefined;
  readonly input: (skb: SkBuff) => void;
  readonly output: (skb: SkBuff) => SendResult;
  readonly #fields: RouteFields<A>;
  readonly #generation: number;

  constructor(fields: RouteFields<A>) {
    this.type = fields.type;
    this.dev = fields.dev;
    this.gateway = fields.gateway;
    this.source = fields.source;
    this.mtu = Math.min(fields.mtu ?? fields.dev.mtu, fields.largest ?? IP_MAX_MTU);
    this.mtuLocked = fields.mtuLocked ?? false;
    this.error = fields.error;
    this.redirect = fields.redirect ?? false;
    this.realms = fields.realms ?? 0;
    this.anycast = fields.anycast ?? false;
    this.owner = fields.owner ?? fields.dev;
    this.prefixLength = fields.prefixLength ?? 0;
    this.hopLimit = fields.hopLimit;
    this.input = fields.input;
    this.output = fields.output;
    this.#fields = fields;
    this.#generation = routingGeneration(fields.ns).current;
  }

  get text(): string {
    const by = this.#fields.decidedBy;
    if (typeof by === "function") return by();
    return typeof by === "object" ? formatRoute(by) : (by ?? "no route");
  }

  /** The route of IPv4 that decided; undefined where none did. */
  get decidedBy(): FibRoute | undefined {
    const by = this.#fields.decidedBy;
    return typeof by === "object" ? by : undefined;
  }

  /** The route of IPv6 that decided, with all its ways. */
  get decidedBy6(): Fib6Route | undefined {
    return this.#fields.decidedBy6;
  }

  /** The table that the deciding route of IPv4 stands in; undefined where no route decided. */
  get table(): number | undefined {
    return this.decidedBy?.table;
  }

  /** Whether nothing changed since the decision: a socket keeps its route as long. Mirrors ipv4_dst_check(). */
  get isValid(): boolean {
    return routingGeneration(this.#fields.ns).current === this.#generation;
  }

  /** The same decision for packets that go to another next hop. */
  through(gateway: A): RouteEntry<A> {
    return new RouteEntry<A>({ ...this.#fields, gateway });
  }

  /** The same decision for packets that carry another source. */
  from(source: A): RouteEntry<A> {
    return new RouteEntry<A>({ ...this.#fields, source });
  }
}

const IP_MAX_MTU = 0xffff;

/** The one place that gives packets their routes, and tells it. */
export function attachRoute(skb: SkBuff, route: Route, direction: "input" | "output"): void {
  skb.route = route;
  if (skb.ns.sim.trace === undefined) return;
  const { type, error, gateway } = route;
  skb.ns.sim.trace(
    told(skb, {
      kind: "route",
      direction,
      result: error !== undefined || isErrorType(type) ? "error" : type,
      text: route.text,
      via: gateway === undefined ? undefined : formatIp(gateway),
      out: route.dev.name,
      error,
    }),
  );
}

function isErrorType(type: RouteType): type is "blackhole" | "unreachable" | "prohibit" | "throw" {
  return type === "blackhole" || type === "unreachable" || type === "prohibit" || type === "throw";
}

/** A packet that may not even have a route: told as a routing error, then dropped. */
export function refuseRoute(
  skb: SkBuff,
  direction: "input" | "output",
  error: Errno | DropReason,
  text: string,
): void {
  skb.ns.sim.trace?.(
    told(skb, {
      kind: "route",
      direction,
      result: "error",
      text,
      via: undefined,
      out: undefined,
      error,
    }),
  );
}

/** The loopback device that every namespace has. */
export function loopbackOf(ns: NetworkNamespace): NetDevice {
  return ns.device("lo");
}

/** Refuses a packet whose source or destination may not come in: no ICMP is sent for those. */
export function dropMartian(skb: SkBuff, reason: DropReason): void {
  refuseRoute(skb, "input", reason, MARTIANS[reason] ?? "not routed");
  drop(skb, reason, "ip_rcv_finish_core");
}

const MARTIANS: Partial<Record<DropReason, string>> = {
  IP_RPFILTER: "reverse path filter: the sender is not reached by this device",
  IP_LOCAL_SOURCE: "the source is an address of this namespace",
  IP_INVALID_SOURCE: "the source is no unicast address",
  IP_INVALID_DEST: "the destination is no valid address",
  IP_LOCALNET: "127.0.0.0/8 does not cross a wire",
  NOT_SPECIFIED: "the multicast group is not joined on this device",
};
