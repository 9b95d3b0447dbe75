import { type Frame, ipLength } from "../wire/frame.js";
import { ipv4HeaderLength } from "../wire/ipv4.js";
import { TCP_FIN, TCP_PSH, type TcpHeader, tcpHeaderLength } from "../wire/tcp.js";

/** Flags of a long segment that only its last part keeps. */
const AT_THE_END = TCP_FIN | TCP_PSH;

/**
 * The segments that a captured one stands for: hosts hand long ones to their network card, which cuts them, or put
 * together what arrived. Mirrors net/ipv4/tcp_offload.c:tcp_gso_segment(). `mtu` is in bytes from the IP header on.
 */
export function segmentsOf(frame: Frame, mtu: number): readonly Frame[] {
  const { network, transport, payload } = frame;
  if (network?.kind !== "ipv4" || transport?.kind !== "tcp" || ipLength(frame) <= mtu)
    return [frame];
  const size = mtu - ipv4HeaderLength(network) - tcpHeaderLength(transport);
  if (size <= 0) return [frame];
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, index): Frame => {
    const from = index * size;
    return {
      ...frame,
      network: { ...network, id: (network.id + index) & 0xffff },
      transport: part(transport, from, index === count - 1),
      payload: payload.subarray(from, from + size),
    };
  });
}

function part(header: TcpHeader, from: number, last: boolean): TcpHeader {
  return {
    ...header,
    sequence: (header.sequence + from) % 0x1_0000_0000,
    flags: last ? header.flags : header.flags & ~AT_THE_END,
  };
}
