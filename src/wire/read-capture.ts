import { type Capture, damaged } from "./capture.js";
import { readPcap } from "./pcap-read.js";
import { readPcapng } from "./pcapng-read.js";

const PCAP_MAGICS: ReadonlySet<number> = new Set([
  0xa1b2_c3d4, 0xd4c3_b2a1, 0xa1b2_3c4d, 0x4d3c_b2a1,
]);
const SECTION_HEADER_BLOCK = 0x0a0d_0d0a;

/**
 * Reads a pcap or pcapng file of either byte order. `given` must not change afterwards. Throws a UserError that names
 * the byte for a file that is damaged; one that merely ends too early is read as far as it goes, and noted.
 */
export function readCapture(file: string, given: Uint8Array): Capture {
  // A Buffer's slice() shares its bytes, where an array's copies them: packets must never share.
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  const magic =
    bytes.length < 4 ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (magic === SECTION_HEADER_BLOCK) return readPcapng(file, bytes);
  if (magic !== undefined && PCAP_MAGICS.has(magic)) return readPcap(file, bytes);
  throw damaged(file, 0, "unknown file format", helpFor(magic));
}

function helpFor(magic: number | undefined): string {
  if (magic === undefined) return "a capture begins with four bytes that name its format";
  if (magic >>> 16 === 0x1f8b) return "it is compressed with gzip: gunzip it first";
  if (magic === 0x28b5_2ffd) return "it is compressed with zstd: unzstd it first";
  if (magic === 0xa1b2_cd34 || magic === 0x34cd_b2a1)
    return "it is a modified pcap of old Linux kernels: editcap -F pcapng turns it into one that is read";
  return "hopwise reads pcap and pcapng, as tcpdump -w and Wireshark write them";
}
