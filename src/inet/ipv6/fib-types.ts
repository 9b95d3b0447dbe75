import type { NetDevice } from "../../core/device.js";
import type { Errno } from "../../core/errno.js";
import type { Micros } from "../../sim/time.js";
import type { Ipv6, Ipv6Prefix } from "../../wire/ip.js";

/** Types of IPv6 routes. Anycast addresses are this host's own, but no source. */
export type Route6Type =
  | "unicast"
  | "local"
  | "anycast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw";

/** Metrics, the smaller the better. Mirrors include/uapi/linux/ipv6_route.h. */
export const IP6_RT_PRIO_USER = 1024;
export const IP6_RT_PRIO_ADDRCONF = 256;

/** One way out of a route. Mirrors struct fib6_nh. */
export interface Fib6Nexthop {
  readonly dev: NetDevice;
  readonly gateway: Ipv6 | undefined;
  /** 1..256. */
  readonly weight: number;
  readonly onlink: boolean;
}

/** One route; several nexthops are what the kernel keeps as siblings. Mirrors struct fib6_info. */
export interface Fib6Route {
  readonly table: number;
  readonly prefix: Ipv6Prefix;
  readonly type: Route6Type;
  readonly metric: number;
  readonly protocol: number;
  /** prefsrc. */
  readonly source: Ipv6 | undefined;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
  readonly hopLimit: number | undefined;
  readonly pref: "low" | "medium" | "high";
  readonly nexthops: readonly Fib6Nexthop[];
  /** When it goes by itself; undefined: never. */
  readonly expires?: Micros | undefined;
  /** A router advertised it. Mirrors RTF_ADDRCONF. */
  readonly learned?: boolean | undefined;
}

export interface Nexthop6Spec {
  readonly dev?: NetDevice | undefined;
  readonly gateway?: Ipv6 | undefined;
  readonly weight?: number | undefined;
  readonly onlink?: boolean | undefined;
}

/** A route as it is asked for; for `del` what is left out matches any. */
export interface Route6Spec {
  readonly prefix: Ipv6Prefix;
  readonly table?: number | undefined;
  readonly type?: Route6Type | undefined;
  readonly metric?: number | undefined;
  readonly protocol?: number | undefined;
  readonly source?: Ipv6 | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly hopLimit?: number | undefined;
  readonly pref?: "low" | "medium" | "high" | undefined;
  readonly nexthops?: readonly Nexthop6Spec[] | undefined;
}

/** What a lookup is asked. Mirrors struct flowi6. */
export interface Flow6Key {
  readonly destination: Ipv6;
  readonly source: Ipv6;
  readonly tos: number;
  readonly mark: number;
  /** The name of the device the packet came in by; `lo` for local packets. */
  readonly iif: string;
  /** The device asked for, or of a received packet the one it came by: routes by it are preferred. */
  readonly oif: NetDevice | undefined;
  /** The device the rules see as `oif`. */
  readonly ruleOif: NetDevice | undefined;
  /** Only routes by that device will do. Mirrors RT6_LOOKUP_F_IFACE. */
  readonly strict: boolean;
  /** Gateways that are known not to answer come last: a host looks so, a router does not. Mirrors RT6_LOOKUP_F_REACHABLE. */
  readonly reachable: boolean;
  readonly uid: number;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export interface Fib6Match {
  readonly kind: "match";
  readonly route: Fib6Route;
}

/** Why a lookup failed. */
export interface Fib6Miss {
  readonly kind: "miss";
  readonly error: Errno;
  /** EAGAIN: the next rule is asked. */
  readonly again: boolean;
  readonly route: Fib6Route | undefined;
  readonly rule: string | undefined;
}

export type Fib6Result = Fib6Match | Fib6Miss;

export const NO_ROUTE6: Fib6Miss = {
  kind: "miss",
  error: "ENETUNREACH",
  again: true,
  route: undefined,
  rule: undefined,
};
