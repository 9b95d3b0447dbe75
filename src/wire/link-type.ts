import { get8, get16, get32, put16 } from "./bytes.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from "./ethernet.js";
import { LINKTYPE_ETHERNET } from "./pcap.js";

/** LINKTYPE_ numbers that are read, as libpcap names them. */
const LINKTYPE_NULL = 0;
const LINKTYPE_RAW = 101;
const LINKTYPE_LOOP = 108;
const LINKTYPE_LINUX_SLL = 113;
const LINKTYPE_IPV4 = 228;
const LINKTYPE_IPV6 = 229;
const LINKTYPE_LINUX_SLL2 = 276;
/** What DLT_RAW was in files of some systems. */
const RAW_ALIASES: readonly number[] = [LINKTYPE_RAW, 12, 14];

/** A captured packet as an Ethernet frame. */
export interface LinkFrame {
  /** Zero MAC addresses stand where the capture has none. */
  readonly bytes: Uint8Array;
  /** Whether the MAC addresses are those of the wire. */
  readonly hasMacs: boolean;
  /** Told by "cooked" captures: `tcpdump -i any` writes them. */
  readonly direction: "in" | "out" | undefined;
  /** The index of the device it passed, where the packet itself tells. */
  readonly ifindex: number | undefined;
}

/** Turns what stands in a capture into an Ethernet frame. Refuses link types that are not known. */
export function linkFrame(linkType: number, bytes: Uint8Array): Decoded<LinkFrame> {
  if (linkType === LINKTYPE_ETHERNET)
    return decoded({ bytes, hasMacs: true, direction: undefined, ifindex: undefined });
  if (RAW_ALIASES.includes(linkType) || linkType === LINKTYPE_IPV4 || linkType === LINKTYPE_IPV6)
    return bare(bytes);
  if (linkType === LINKTYPE_NULL || linkType === LINKTYPE_LOOP)
    return bytes.length < 4 ? tooShort("loopback", bytes, 4) : bare(bytes.subarray(4));
  if (linkType === LINKTYPE_LINUX_SLL) return cooked(bytes);
  if (linkType === LINKTYPE_LINUX_SLL2) return cooked2(bytes);
  return refused(`link type ${linkType} is not read`);
}

/** A packet that begins with its IP header. */
function bare(bytes: Uint8Array): Decoded<LinkFrame> {
  if (bytes.length === 0) return refused("an empty packet");
  const version = get8(bytes, 0) >>> 4;
  if (version !== 4 && version !== 6) return refused(`an IP header of version ${version}`);
  return decoded({
    bytes: framed(version === 4 ? ETH_P_IP : ETH_P_IPV6, bytes),
    hasMacs: false,
    direction: undefined,
    ifindex: undefined,
  });
}

/** LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length and address, protocol. */
function cooked(bytes: Uint8Array): Decoded<LinkFrame> {
  if (bytes.length < 16) return tooShort("Linux cooked", bytes, 16);
  return decoded({
    bytes: framed(get16(bytes, 14), bytes.subarray(16)),
    hasMacs: false,
    direction: directionOf(get16(bytes, 0)),
    ifindex: undefined,
  });
}

/** LINKTYPE_LINUX_SLL2: protocol, reserved, interface index, ARPHRD, packet type, address length and address. */
function cooked2(bytes: Uint8Array): Decoded<LinkFrame> {
  if (bytes.length < 20) return tooShort("Linux cooked", bytes, 20);
  return decoded({
    bytes: framed(get16(bytes, 0), bytes.subarray(20)),
    hasMacs: false,
    direction: directionOf(get8(bytes, 10)),
    ifindex: get32(bytes, 4),
  });
}

/** PACKET_OUTGOING is 4; all others were received. Mirrors include/uapi/linux/if_packet.h. */
function directionOf(packetType: number): "in" | "out" {
  return packetType === 4 ? "out" : "in";
}

function framed(etherType: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ETH_HLEN + payload.length);
  put16(bytes, 12, etherType);
  bytes.set(payload, ETH_HLEN);
  return bytes;
}

function tooShort(
  what: string,
  bytes: Uint8Array,
  needed: number,
): { readonly ok: false; readonly reason: string } {
  return refused(`${what} header cut short: ${bytes.length} of ${needed} bytes`);
}
