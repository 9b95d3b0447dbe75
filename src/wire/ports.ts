import { get16 } from "./bytes.js";
import { type Frame, isIcmp, isIpFragment } from "./frame.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "./ipv4.js";

export const IPPROTO_DCCP = 33;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;

/** Protocols whose headers begin with a source and a destination port. */
const PORTED: readonly number[] = [
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_DCCP,
  IPPROTO_SCTP,
  IPPROTO_UDPLITE,
];

export interface Ports {
  readonly source: number;
  readonly destination: number;
}

/** The first four bytes behind the IP header as ports; undefined when they are cut short, or the protocol has none. */
export function portsIn(protocol: number, bytes: Uint8Array): Ports | undefined {
  if (bytes.length < 4 || !PORTED.includes(protocol)) return undefined;
  return { source: get16(bytes, 0), destination: get16(bytes, 2) };
}

/** The ports of a whole packet, also of protocols that a frame keeps as bytes: SCTP, DCCP, UDP-Lite. */
export function portsOfFrame({ network, transport, payload }: Frame): Ports | undefined {
  if (network === undefined || network.kind === "arp") return undefined;
  if (transport === undefined)
    return isIpFragment(network) ? undefined : portsIn(network.protocol, payload);
  if (isIcmp(transport)) return undefined;
  return { source: transport.sourcePort, destination: transport.destinationPort };
}
