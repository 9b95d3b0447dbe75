import { type Capture, captureLimits, CaptureReader, damaged } from "./capture.js";

const FILE_HEADER = 24;
const PACKET_HEADER = 16;

/** In bytes from the file's start, of a file in the writer's byte order. */
const VERSION_MAJOR = 4;
const LINK_TYPE = 20;

/**
 * Reads a classic capture file: either byte order, microseconds or nanoseconds. draft-ietf-opsawg-pcap. Throws a
 * UserError that names the byte.
 */
export function readPcap(file: string, bytes: Uint8Array): Capture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new CaptureReader(file);
  if (bytes.length < FILE_HEADER)
    throw damaged(
      file,
      bytes.length,
      `truncated dump file; tried to read ${FILE_HEADER} file header bytes, only got ${bytes.length}`,
    );
  const magic = view.getUint32(0);
  const little = magic === 0xd4c3_b2a1 || magic === 0x4d3c_b2a1;
  const nanos = magic === 0xa1b2_3c4d || magic === 0x4d3c_b2a1;
  const major = view.getUint16(VERSION_MAJOR, little);
  if (major !== 2)
    throw damaged(file, VERSION_MAJOR, `pcap of version ${major}; version 2 is the only one`);
  const link = view.getUint32(LINK_TYPE, little);
  reader.addInterface({ name: undefined, linkType: link & 0xffff }, LINK_TYPE);
  const format: RecordFormat = { little, scale: nanos ? 1n : 1000n, fcs: fcsLength(link) };
  for (let at = FILE_HEADER; at < bytes.length;) {
    const next = readRecord(reader, view, at, format);
    if (next === undefined) break;
    at = next;
  }
  return reader.done("pcap", bytes);
}

/** How many bytes of a frame check sequence follow each packet: the field's upper bits, in 16-bit words. */
function fcsLength(link: number): number {
  return (link & 0x0400_0000) === 0 ? 0 : (link >>> 28) * 2;
}

interface RecordFormat {
  readonly little: boolean;
  /** Nanoseconds in the unit of the time's second word. */
  readonly scale: bigint;
  readonly fcs: number;
}

/** Reads one packet and gives the offset of the next; undefined when the file ends inside this one. */
function readRecord(
  reader: CaptureReader,
  view: DataView,
  at: number,
  { little, scale, fcs }: RecordFormat,
): number | undefined {
  const left = view.byteLength - at;
  if (left < PACKET_HEADER) {
    reader.cutShort(
      at,
      `truncated dump file; tried to read ${PACKET_HEADER} header bytes, only got ${left}`,
    );
    return undefined;
  }
  const length = view.getUint32(at + 8, little);
  if (length > captureLimits.packetBytes)
    throw damaged(
      reader.file,
      at + 8,
      `invalid packet capture length ${length}, bigger than maximum of ${captureLimits.packetBytes}`,
    );
  const start = at + PACKET_HEADER;
  if (start + length > view.byteLength) {
    reader.cutShort(
      start,
      `truncated dump file; tried to read ${length} captured bytes, only got ${left - PACKET_HEADER}`,
    );
    return undefined;
  }
  const original = Math.max(view.getUint32(at + 12, little), length);
  const trailer = length === original ? Math.min(fcs, length) : 0;
  const seconds = BigInt(view.getUint32(at, little));
  const fraction = BigInt(view.getUint32(at + 4, little));
  reader.add(
    {
      interface: 0,
      start,
      length: length - trailer,
      originalLength: original - trailer,
      direction: undefined,
      comment: undefined,
    },
    seconds * 1_000_000_000n + fraction * scale,
  );
  return start + length;
}
