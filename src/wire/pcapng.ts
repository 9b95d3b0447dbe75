import { LINKTYPE_ETHERNET, type PcapPacket, SNAP_LENGTH } from "./pcap.js";

/** Block types and options. draft-ietf-opsawg-pcapng. */
const SECTION_HEADER_BLOCK = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION_BLOCK = 1;
const ENHANCED_PACKET_BLOCK = 6;
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const OPT_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;

/** One frame on one interface, and what is to be said of it. */
export interface PcapngPacket extends PcapPacket {
  /** An index into the interfaces of the file. */
  readonly interface: number;
  readonly comment?: string | undefined;
}

export interface Pcapng {
  /** Their names, such as `worker-1/cni0`; all are Ethernet. */
  readonly interfaces: readonly string[];
  readonly packets: readonly PcapngPacket[];
}

/** A capture file, little endian, one section: times in microseconds, a comment beside each frame that has one. */
export function encodePcapng(capture: Pcapng): Uint8Array {
  const blocks = [
    sectionHeader(),
    ...capture.interfaces.map(interfaceDescription),
    ...capture.packets.map(enhancedPacket),
  ];
  const file = new Uint8Array(blocks.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of blocks) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

function sectionHeader(): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(16));
  fixed.setUint32(0, BYTE_ORDER_MAGIC, true);
  fixed.setUint16(4, 1, true);
  // The section's length is not told: all ones.
  fixed.setBigInt64(8, -1n, true);
  return block(SECTION_HEADER_BLOCK, [bytesOf(fixed), ...options([[SHB_USERAPPL, "hopwise"]])]);
}

function interfaceDescription(name: string): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(8));
  fixed.setUint16(0, LINKTYPE_ETHERNET, true);
  fixed.setUint32(4, SNAP_LENGTH, true);
  return block(INTERFACE_DESCRIPTION_BLOCK, [bytesOf(fixed), ...options([[IF_NAME, name]])]);
}

function enhancedPacket(packet: PcapngPacket): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(20));
  fixed.setUint32(0, packet.interface, true);
  fixed.setUint32(4, Math.floor(packet.time / 0x1_0000_0000), true);
  fixed.setUint32(8, packet.time % 0x1_0000_0000, true);
  fixed.setUint32(12, packet.bytes.length, true);
  fixed.setUint32(16, packet.bytes.length, true);
  const comments: readonly Option[] =
    packet.comment === undefined ? [] : [[OPT_COMMENT, packet.comment]];
  return block(ENHANCED_PACKET_BLOCK, [bytesOf(fixed), packet.bytes, ...options(comments)]);
}

type Option = readonly [code: number, text: string];

/** Options as parts of a block, the end mark included; nothing at all when there is none. Longer texts are cut at 65,535 bytes. */
function options(list: readonly Option[]): Uint8Array[] {
  if (list.length === 0) return [];
  const parts = list.flatMap(([code, text]) => {
    const value = new TextEncoder().encode(text).subarray(0, 0xffff);
    const head = new DataView(new ArrayBuffer(4));
    head.setUint16(0, code, true);
    head.setUint16(2, value.length, true);
    return [bytesOf(head), value];
  });
  return [...parts, new Uint8Array(4)];
}

/** One block: type, length, the parts each padded to 4 bytes, length again. */
function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + padded(part.length), 12);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += padded(part.length);
  }
  view.setUint32(at, length, true);
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer);
}
