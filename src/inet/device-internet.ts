import { drop } from "../core/drop.js";
import type { NetDevice } from "../core/device.js";
import { internet, type KnownNeighbour } from "../core/internet.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { SkBuff } from "../core/skbuff.js";
import { type IpAddress, MAC_ZERO } from "../wire/ip.js";
import type { Ipv4Header } from "../wire/ipv4.js";
import type { Ipv6Header } from "../wire/ipv6.js";
import { addressesOf } from "./addresses.js";
import { familyOf } from "./families.js";
import { ipLocalOut } from "./ip-local-out.js";
import { addresses6Of } from "./ipv6/addresses.js";
import { flow6Of } from "./ipv6/multipath.js";
import { ip6LocalOut } from "./ipv6/output.js";
import { isRoute6, routeOutput6 } from "./ipv6/route.js";
import { flowOf } from "./multipath.js";
import { neighbours, neighbours6 } from "./neighbour.js";
import { attachRoute, refuseRoute } from "./route-entry.js";
import { isRoute, routeOutput } from "./route-output.js";

/** Offers addresses, routes, neighbours and groups to the devices that have to do with them. */
export function offerInternet(ns: NetworkNamespace): void {
  const offered = internet(ns);
  offered.addressesOf = allAddresses;
  offered.sendBy = sendBy;
  offered.neighbourOf = neighbourOf;
  offered.joinGroup = (dev, group) => familyOf(group).joinGroup(dev, group);
  offered.leaveGroup = (dev, group) => familyOf(group).leaveGroup(dev, group);
}

function neighbourOf(dev: NetDevice, address: IpAddress): KnownNeighbour | undefined {
  const found =
    typeof address === "number"
      ? neighbours(dev.ns).lookup(dev, address)
      : neighbours6(dev.ns).lookup(dev, address);
  return found && { mac: found.mac ?? MAC_ZERO, isConnected: found.isConnected };
}

function allAddresses(dev: NetDevice): readonly IpAddress[] {
  const v4 = addressesOf(dev).map(({ local }) => local);
  return [...v4, ...addresses6Of(dev).map(({ address }) => address)];
}

/** Mirrors drivers/net/ipvlan/ipvlan_core.c:ipvlan_process_outbound(). */
function sendBy(skb: SkBuff, dev: NetDevice): void {
  const { network } = skb.frame;
  skb.ns = dev.ns;
  skb.dev = dev;
  if (network?.kind === "ipv4") sendBy4(skb, dev, network);
  else if (network?.kind === "ipv6") sendBy6(skb, dev, network);
  else drop(skb, "NOT_SPECIFIED", "ipvlan_process_outbound");
}

/** Mirrors ipvlan_process_v4_outbound(). */
function sendBy4(skb: SkBuff, dev: NetDevice, { source, destination, tos }: Ipv4Header): void {
  const where = "ipvlan_process_v4_outbound";
  const { protocol, sourcePort, destinationPort } = flowOf(skb.frame);
  const flow = { destination, source, mark: skb.mark, oif: dev, tos, anySource: true } as const;
  const found = routeOutput(dev.ns, { ...flow, protocol, sourcePort, destinationPort });
  if (!isRoute(found)) {
    refuseRoute(skb, "output", found.error, found.text);
    return drop(skb, "NOT_SPECIFIED", where);
  }
  attachRoute(skb, found, "output");
  if (found.type !== "unicast" && found.type !== "local") return drop(skb, "NOT_SPECIFIED", where);
  ipLocalOut(skb);
}

/** Mirrors ipvlan_process_v6_outbound(). */
function sendBy6(skb: SkBuff, dev: NetDevice, header: Ipv6Header): void {
  const { source, destination, trafficClass: tos } = header;
  const { protocol, sourcePort, destinationPort } = flow6Of(skb.frame);
  const flow = { destination, source, mark: skb.mark, oif: dev, tos } as const;
  const found = routeOutput6(dev.ns, { ...flow, protocol, sourcePort, destinationPort });
  if (!isRoute6(found)) {
    refuseRoute(skb, "output", found.error, found.text);
    return drop(skb, "NOT_SPECIFIED", "ipvlan_process_v6_outbound");
  }
  attachRoute(skb, found, "output");
  ip6LocalOut(skb);
}
