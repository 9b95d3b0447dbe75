import type { NetDevice } from "../core/device.js";
import type { Errno } from "../core/errno.js";
import type { RouteType } from "../core/route.js";
import type { Ipv4, Ipv4Prefix } from "../wire/ip.js";

/** Distance to a destination, 0..255: the nearer, the larger. Mirrors enum rt_scope_t. */
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_SITE = 200;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RT_SCOPE_NOWHERE = 255;

export const RT_TABLE_DEFAULT = 253;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;

/** Who made a route. Mirrors include/uapi/linux/rtnetlink.h. */
export const RTPROT_REDIRECT = 1;
export const RTPROT_KERNEL = 2;
export const RTPROT_BOOT = 3;
export const RTPROT_STATIC = 4;

/** What a rule or route about the TOS looks at: the upper three bits of DSCP count for none. Mirrors INET_DSCP_LEGACY_TOS_MASK. */
export const LEGACY_TOS_MASK = 0x1c;

/** One way out of a route. Mirrors struct fib_nh. */
export interface FibNexthop {
  readonly dev: NetDevice | undefined;
  readonly gateway: Ipv4 | undefined;
  /** 1..256. */
  readonly weight: number;
  readonly onlink: boolean;
  /** Its realms, the source's in the upper 16 bits; 0 for none. Mirrors nh_tclassid. */
  readonly realms: number;
  /** Scope of the gateway's own route; HOST for a destination on the link. */
  readonly scope: number;
  /** Its device went down; only nexthops of multipath routes live on like that. */
  dead: boolean;
}

/** One entry of a table. Mirrors struct fib_alias with its fib_info. */
export interface FibRoute {
  readonly table: number;
  readonly prefix: Ipv4Prefix;
  readonly type: RouteType;
  readonly tos: number;
  readonly metric: number;
  readonly scope: number;
  readonly protocol: number;
  /** prefsrc. */
  readonly source: Ipv4 | undefined;
  readonly mtu: number | undefined;
  readonly mtuLock: boolean;
  readonly advmss: number | undefined;
  readonly nexthops: readonly FibNexthop[];
}

export interface NexthopSpec {
  readonly dev?: NetDevice | undefined;
  readonly gateway?: Ipv4 | undefined;
  readonly weight?: number | undefined;
  readonly onlink?: boolean | undefined;
  readonly realms?: number | undefined;
}

/** A route as it is asked for. What is left out gets the values that `ip route` fills in. */
export interface RouteSpec {
  readonly prefix: Ipv4Prefix;
  readonly table?: number | undefined;
  readonly type?: RouteType | undefined;
  readonly tos?: number | undefined;
  readonly metric?: number | undefined;
  readonly scope?: number | undefined;
  readonly protocol?: number | undefined;
  readonly source?: Ipv4 | undefined;
  readonly mtu?: number | undefined;
  readonly mtuLock?: boolean | undefined;
  readonly advmss?: number | undefined;
  readonly nexthops?: readonly NexthopSpec[] | undefined;
}

/** What a lookup is asked. Mirrors struct flowi4. */
export interface FlowKey {
  readonly destination: Ipv4;
  readonly source: Ipv4;
  /** The DSCP bits of the TOS byte are compared; ECN is not. */
  readonly tos: number;
  readonly mark: number;
  /** The name of the device the packet came in by; `lo` for local packets. */
  readonly iif: string;
  readonly oif: NetDevice | undefined;
  /** Routes of a wider scope are passed over. */
  readonly scope: number;
  readonly uid: number;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** As FIB_LOOKUP_IGNORE_LINKSTATE: links without carrier count as well. */
  readonly ignoreLinkState: boolean;
}

/** What a lookup found. Mirrors struct fib_result. */
export interface FibMatch {
  readonly kind: "match";
  readonly route: FibRoute;
  /** The first usable nexthop, by its index in the route. */
  readonly index: number;
}

/** Why a lookup failed: the type of the deciding route gives the error; `none` when no route decided. */
export interface FibMiss {
  readonly kind: "miss";
  readonly error: Errno;
  /** EAGAIN from a `throw` route or an empty table: the next rule is asked. */
  readonly again: boolean;
  /** The entry or rule that decided, if one did. */
  readonly route: FibRoute | undefined;
  readonly rule: string | undefined;
}

export type FibResult = FibMatch | FibMiss;

export const NO_ROUTE: FibMiss = {
  kind: "miss",
  error: "ENETUNREACH",
  again: true,
  route: undefined,
  rule: undefined,
};
