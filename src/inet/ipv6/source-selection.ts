import type { NetDevice } from "../../core/device.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { type Ipv6, isIpv6Multicast } from "../../wire/ip.js";
import { addressLabels } from "./address-labels.js";
import {
  addresses6Of,
  type InterfaceAddress6,
  IPV6_SCOPE_LINK,
  isUsable,
  scopeOf,
} from "./addresses.js";
import { devConf6 } from "./devconf.js";

/**
 * The address a packet to `destination` gets that leaves by `dev`; undefined when there is none. RFC 6724 §5, in the kernel's
 * order of rules: same address, scope, not deprecated, own device, label, longest prefix; then the newest address.
 * Mirrors net/ipv6/addrconf.c:ipv6_dev_get_saddr().
 */
export function selectSource6(
  ns: NetworkNamespace,
  dev: NetDevice | undefined,
  destination: Ipv6,
): Ipv6 | undefined {
  const scope = scopeOf(destination);
  const onlyOwn =
    dev !== undefined &&
    (isIpv6Multicast(destination) ||
      scope <= IPV6_SCOPE_LINK ||
      devConf6(dev).use_oif_addrs_only !== 0);
  const devices = onlyOwn ? [dev] : ns.devices.values();
  let best: InterfaceAddress6 | undefined;
  for (const candidateDevice of devices)
    for (const candidate of addresses6Of(candidateDevice)) {
      if (!isUsable(candidate)) continue;
      if (best === undefined || isBetter(candidate, best, destination, scope, dev))
        best = candidate;
    }
  return best?.address;
}

/** Whether a candidate beats the best so far: the first rule that tells them apart decides. Mirrors ipv6_get_saddr_eval(). */
function isBetter(
  candidate: InterfaceAddress6,
  best: InterfaceAddress6,
  destination: Ipv6,
  scope: number,
  dev: NetDevice | undefined,
): boolean {
  for (const rule of RULES) {
    const difference =
      rule(candidate, destination, scope, dev) - rule(best, destination, scope, dev);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

type Rule = (
  candidate: InterfaceAddress6,
  destination: Ipv6,
  scope: number,
  dev: NetDevice | undefined,
) => number;

const RULES: readonly Rule[] = [
  ({ address }, destination) => Number(address === destination),
  // The smallest scope that is large enough, else the largest.
  ({ scope }, _, wanted) => (scope >= wanted ? -scope : scope - 128),
  ({ deprecated }) => Number(!deprecated),
  (candidate, _, __, dev) => Number(dev === undefined || dev === candidate.dev),
  ({ address, dev: own }, destination, _, dev) => {
    const labels = addressLabels(own.ns);
    return Number(labels.of(address, own) === labels.of(destination, dev));
  },
  ({ address, length }, destination) => Math.min(sharedBits(address, destination), length),
];

/** How many leading bits two addresses have in common. Mirrors ipv6_addr_diff(). */
function sharedBits(a: Ipv6, b: Ipv6): number {
  const difference = (a ^ b) as bigint;
  return difference === 0n ? 128 : 128 - difference.toString(2).length;
}
