import type { Frame } from "../../wire/frame.js";
import type { TcpHeader } from "../../wire/tcp.js";

/** Frames with one field changed; what does not have the field stays as it is. */

export function withTos(frame: Frame, change: (tos: number) => number): Frame {
  const { network } = frame;
  if (network?.kind !== "ipv4") return frame;
  const tos = change(network.tos) & 0xff;
  return tos === network.tos ? frame : { ...frame, network: { ...network, tos } };
}

/** The checksum of a segment is computed as it leaves, so a change here needs no repair. */
export function withTcp(frame: Frame, change: (header: TcpHeader) => TcpHeader): Frame {
  const { network, transport } = frame;
  if (network?.kind !== "ipv4" || transport?.kind !== "tcp") return frame;
  const changed = change(transport);
  return changed === transport ? frame : { ...frame, transport: changed };
}
