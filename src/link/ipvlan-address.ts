import type { Frame } from "../wire/frame.js";
import { NDISC_NEIGHBOUR_SOLICITATION } from "../wire/icmpv6.js";
import { type IpAddress, IPV6_ANY } from "../wire/ip.js";
import { decodeNdisc } from "../wire/ndisc.js";

/**
 * The address by which a frame is given to a child: that of IP or ARP; for the question whether an IPv6 address is free
 * the address asked about. Undefined for other frames. Mirrors drivers/net/ipvlan/ipvlan_core.c:ipvlan_get_L3_hdr() and
 * ipvlan_addr_lookup().
 */
export function ipvlanAddress(frame: Frame, side: "source" | "destination"): IpAddress | undefined {
  const { network, transport } = frame;
  switch (network?.kind) {
    case undefined:
      return undefined;
    case "arp":
      return side === "destination" ? network.targetIp : network.senderIp;
    case "ipv4":
      return network[side];
    case "ipv6":
      if (
        network.source !== IPV6_ANY ||
        transport?.kind !== "icmpv6" ||
        transport.type !== NDISC_NEIGHBOUR_SOLICITATION
      )
        return network[side];
      return targetOf(frame);
    default:
      return undefined;
  }
}

function targetOf({ transport, payload }: Frame): IpAddress | undefined {
  if (transport?.kind !== "icmpv6") return undefined;
  const read = decodeNdisc(transport, payload);
  return read.ok ? read.value.target : undefined;
}
