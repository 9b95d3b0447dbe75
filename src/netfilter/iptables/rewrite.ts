import type { Frame } from "../../wire/frame.js";
import type { TcpHeader } from "../../wire/tcp.js";

/** Frames with one field changed; what does not have the field stays as it is. */

/** The TOS byte, IPv6's traffic class. */
export function withTos(frame: Frame, change: (tos: number) => number): Frame {
  const { network } = frame;
  if (network?.kind === "ipv6") {
    const trafficClass = change(network.trafficClass) & 0xff;
    return trafficClass === network.trafficClass
      ? frame
      : { ...frame, network: { ...network, trafficClass } };
  }
  if (network?.kind !== "ipv4") return frame;
  const tos = change(network.tos) & 0xff;
  return tos === network.tos ? frame : { ...frame, network: { ...network, tos } };
}

/** The checksum of a segment is computed as it leaves, so a change here needs no repair. */
export function withTcp(frame: Frame, change: (header: TcpHeader) => TcpHeader): Frame {
  const { transport } = frame;
  if (transport?.kind !== "tcp") return frame;
  const changed = change(transport);
  return changed === transport ? frame : { ...frame, transport: changed };
}
