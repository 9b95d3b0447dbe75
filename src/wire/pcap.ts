/** One captured frame. `time` is in microseconds since 1970, or since the start of an emulated run. */
export interface PcapPacket {
  readonly time: number;
  readonly bytes: Uint8Array;
}

const PCAP_MAGIC_MICROSECONDS = 0xa1b2_c3d4;
export const LINKTYPE_ETHERNET = 1;
export const SNAP_LENGTH = 262_144;

/** A classic capture file of Ethernet frames, little endian. draft-ietf-opsawg-pcap. */
export function encodePcap(packets: readonly PcapPacket[]): Uint8Array {
  const size = packets.reduce((sum, packet) => sum + 16 + packet.bytes.length, 24);
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  view.setUint32(0, PCAP_MAGIC_MICROSECONDS, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, SNAP_LENGTH, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  let at = 24;
  for (const { time, bytes } of packets) {
    view.setUint32(at, Math.floor(time / 1_000_000), true);
    view.setUint32(at + 4, time % 1_000_000, true);
    view.setUint32(at + 8, bytes.length, true);
    view.setUint32(at + 12, bytes.length, true);
    file.set(bytes, at + 16);
    at += 16 + bytes.length;
  }
  return file;
}
