import { get16, get8 } from "../wire/bytes.js";
import { type Capture, type CapturedPacket, packetBytes } from "../wire/capture.js";
import { foldChecksum, pseudoHeaderSum } from "../wire/checksum.js";
import { type Decoded, decoded, refused } from "../wire/decoded.js";
import { ETH_HLEN } from "../wire/ethernet.js";
import { decodeFrame, type Frame } from "../wire/frame.js";
import {
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4_HLEN,
  ipv4HeaderLength,
} from "../wire/ipv4.js";
import { type LinkFrame, linkFrame } from "../wire/link-type.js";

/** A captured packet, read. */
export interface CapturedFrame {
  readonly link: LinkFrame;
  /** Refused when its headers are damaged or were not captured. */
  readonly frame: Decoded<Frame>;
  /** All bytes of the packet were captured. */
  readonly whole: boolean;
}

/** Reads one packet of a capture. Refuses link types that are not known, and cooked headers that are cut short. */
export function capturedFrame(capture: Capture, packet: CapturedPacket): Decoded<CapturedFrame> {
  const linkType = capture.interfaces[packet.interface]?.linkType ?? -1;
  const link = linkFrame(linkType, packetBytes(capture, packet));
  if (!link.ok) return link;
  const missing = packet.originalLength - packet.length;
  return decoded({
    link: link.value,
    frame: missing === 0 ? wholeFrame(link.value.bytes) : cutFrame(link.value.bytes, missing),
    whole: missing === 0,
  });
}

function wholeFrame(bytes: Uint8Array): Decoded<Frame> {
  const frame = decodeFrame(bytes);
  return frame.ok ? decoded(withoutOffload(frame.value, bytes)) : frame;
}

/**
 * A packet whose headers were captured and whose data was not: the data is taken to be zeros and its checksum to be
 * right, since no header says otherwise.
 */
function cutFrame(bytes: Uint8Array, missing: number): Decoded<Frame> {
  const needed = headerLength(bytes);
  if (bytes.length < needed)
    return refused(`its headers were cut off: ${bytes.length} of ${needed} bytes were captured`);
  const padded = new Uint8Array(bytes.length + missing);
  padded.set(bytes);
  const frame = decodeFrame(padded);
  return frame.ok ? decoded(withRightChecksum(frame.value)) : frame;
}

/** How many bytes of a frame its headers take, as far as the bytes that are there tell. */
function headerLength(bytes: Uint8Array): number {
  const ip = ETH_HLEN + IPV4_HLEN;
  if (bytes.length < ETH_HLEN) return ETH_HLEN;
  if (get16(bytes, 12) !== 0x0800) return ETH_HLEN + 28;
  if (bytes.length < ip) return ip;
  const upper = ETH_HLEN + (get8(bytes, ETH_HLEN) & 15) * 4;
  if ((get16(bytes, ETH_HLEN + 6) & 0x1fff) !== 0) return upper;
  switch (get8(bytes, ETH_HLEN + 9)) {
    case IPPROTO_TCP:
      return bytes.length < upper + 20 ? upper + 20 : upper + (get8(bytes, upper + 12) >>> 4) * 4;
    case IPPROTO_UDP:
    case IPPROTO_ICMP:
      return upper + 8;
    default:
      return upper;
  }
}

/**
 * A sender that leaves the checksum to its network card puts the pseudo header's sum where it goes (CHECKSUM_PARTIAL):
 * captured before the card such packets are right.
 */
function withoutOffload(frame: Frame, bytes: Uint8Array): Frame {
  const { network, transport } = frame;
  if (network?.kind !== "ipv4" || transport?.checksumError === undefined) return frame;
  const at = checksumOffset(transport.kind);
  if (at === undefined) return frame;
  const header = ETH_HLEN + ipv4HeaderLength(network);
  const length = get16(bytes, ETH_HLEN + 2) - ipv4HeaderLength(network);
  const partial =
    ~foldChecksum(pseudoHeaderSum(network.source, network.destination, network.protocol, length)) &
    0xffff;
  return get16(bytes, header + at) === partial ? withRightChecksum(frame) : frame;
}

function checksumOffset(kind: string): number | undefined {
  return kind === "tcp" ? 16 : kind === "udp" ? 6 : undefined;
}

function withRightChecksum(frame: Frame): Frame {
  const { transport } = frame;
  return transport?.checksumError === undefined
    ? frame
    : { ...frame, transport: { ...transport, checksumError: undefined } };
}
