import type { NetDevice } from "../core/device.js";
import type { DropReason } from "../core/drop.js";
import type { Frame } from "../wire/frame.js";
import { type Ipv4 } from "../wire/ip.js";
import { addressesOf, holdsAddress } from "./addresses.js";
import { confMax, confOr } from "./devconf.js";
import { fib } from "./fib.js";
import { type FibMatch, type FlowKey, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE } from "./fib-types.js";
import { rulePortsOf } from "./multipath.js";

/** A received packet as far as its way back is asked for. */
export interface SourceCheck {
  readonly source: Ipv4;
  /** 0.0.0.0 for broadcast and multicast. */
  readonly destination: Ipv4;
  readonly tos: number;
  readonly mark: number;
  readonly dev: NetDevice;
  /** The packet itself, whose protocol and ports rules may ask for; undefined for an ARP request. */
  readonly frame: Frame | undefined;
}

/** A reason to drop, or whether the sender is a neighbour on the device the packet came by. */
export type SourceVerdict =
  | DropReason
  | {
      readonly onLink: boolean;
      /** The realm of the way back, in the upper 16 bits. Mirrors fib_combine_itag(). */
      readonly realms: number;
    };

/** `out` is the device it would be forwarded to, undefined for local delivery. Mirrors net/ipv4/fib_frontend.c:fib_validate_source(). */
export function validateSource(check: SourceCheck, out: NetDevice | undefined): SourceVerdict {
  const { dev, source } = check;
  const tables = fib(dev.ns);
  const rpFilter = confMax(dev, "rp_filter");
  if (rpFilter !== 0 || (out === dev && confOr(dev, "send_redirects")))
    return reverseLookup(check, out, rpFilter);
  if (tables.hasRealms) return reverseLookup(check, out, rpFilter);
  if (confOr(dev, "accept_local")) return PASSED;
  if (tables.hasCustomLocalRoutes || tables.hasCustomRules)
    return reverseLookup(check, out, rpFilter);
  return holdsAddress(dev.ns, source) ? "IP_LOCAL_SOURCE" : PASSED;
}

const PASSED: SourceVerdict = { onLink: false, realms: 0 };

/**
 * Asks for the way back to the sender. Protocol and ports are those of the packet as it came: they are not turned round as its
 * addresses are. Mirrors
 * __fib_validate_source() and fib4_rules_early_flow_dissect().
 */
function reverseLookup(
  check: SourceCheck,
  out: NetDevice | undefined,
  rpFilter: number,
): SourceVerdict {
  const { dev } = check;
  const tables = fib(dev.ns);
  const { protocol, sourcePort, destinationPort } = rulePortsOf(check.frame);
  const key: FlowKey = {
    destination: check.source,
    source: check.destination,
    tos: check.tos,
    mark: confOr(dev, "src_valid_mark") ? check.mark : 0,
    iif: out?.name ?? "lo",
    oif: undefined,
    scope: RT_SCOPE_UNIVERSE,
    uid: 0,
    protocol,
    sourcePort,
    destinationPort,
    ignoreLinkState: false,
  };
  const found = tables.lookup(key);
  if (found.kind === "miss") return rpFilter === 0 ? PASSED : "IP_RPFILTER";
  const { type, nexthops } = found.route;
  if (type !== "unicast") {
    if (type !== "local") return "IP_INVALID_SOURCE";
    if (!confOr(dev, "accept_local")) return "IP_LOCAL_SOURCE";
  }
  const usesDevice =
    nexthops.some((nexthop) => nexthop.dev === dev) || (type === "local" && dev.isLoopback);
  const realms = ((nexthops[found.index]?.realms ?? 0) << 16) >>> 0;
  if (usesDevice) return { onLink: isOnLink(found), realms };
  if (addressesOf(dev).length === 0) return rpFilter === 0 ? PASSED : "IP_RPFILTER";
  if (rpFilter === 1) return "IP_RPFILTER";
  const byDevice = tables.lookup({ ...key, oif: dev, ignoreLinkState: true });
  return {
    onLink: byDevice.kind === "match" && byDevice.route.type === "unicast" && isOnLink(byDevice),
    realms,
  };
}

function isOnLink({ route, index }: FibMatch): boolean {
  return (route.nexthops[index]?.scope ?? 0) >= RT_SCOPE_HOST;
}
