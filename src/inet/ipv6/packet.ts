import { ETH_P_IPV6, type EthernetHeader } from "../../wire/ethernet.js";
import type { Frame, TransportHeader } from "../../wire/frame.js";
import { type Ipv6, MAC_ZERO } from "../../wire/ip.js";
import type { Ipv6Extension } from "../../wire/ipv6-extension.js";
import { NO_EXTENSIONS } from "../../wire/ipv6.js";

/** A packet's fields that its maker decides. */
export interface Packet6Fields {
  readonly source: Ipv6;
  readonly destination: Ipv6;
  readonly protocol: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly hopLimit: number;
}

/** Before the neighbour is known a packet has no addresses below IP. */
const NO_LINK: EthernetHeader = {
  destination: MAC_ZERO,
  source: MAC_ZERO,
  etherType: ETH_P_IPV6,
};

export function ip6Packet(
  fields: Packet6Fields,
  transport: TransportHeader | undefined,
  payload: Uint8Array,
  extensions: readonly Ipv6Extension[] = NO_EXTENSIONS,
): Frame {
  const { source, destination, protocol, trafficClass, flowLabel, hopLimit } = fields;
  return {
    link: NO_LINK,
    network: {
      kind: "ipv6",
      trafficClass,
      flowLabel,
      hopLimit,
      protocol,
      source,
      destination,
      extensions,
    },
    transport,
    payload,
  };
}
