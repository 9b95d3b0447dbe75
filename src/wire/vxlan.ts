import { get16, get32, put32 } from "./bytes.js";
import { type Decoded, type Layer, decoded, refused } from "./decoded.js";

/** Where VXLAN is spoken: the port that IANA gave it, and the one that Linux (and flannel) chose before. */
export const VXLAN_PORT = 4789;
export const VXLAN_LINUX_PORT = 8472;

export const VXLAN_HLEN = 8;

/** The flag that says that the network identifier is valid. */
export const VXLAN_HF_VNI = 0x0800_0000;

/** A VXLAN header: flags and the number of the network. The rest is reserved. RFC 7348 §5. */
export interface VxlanHeader {
  readonly flags: number;
  /** 0..16777215. */
  readonly vni: number;
  /** The byte after the identifier; 0 unless somebody misuses it. */
  readonly reserved: number;
}

export function decodeVxlan(bytes: Uint8Array): Decoded<Layer<VxlanHeader>> {
  if (bytes.length < VXLAN_HLEN)
    return refused(`VXLAN header cut short: ${bytes.length} of ${VXLAN_HLEN} bytes`);
  const last = get32(bytes, 4);
  const header: VxlanHeader = {
    flags: get32(bytes, 0),
    vni: last >>> 8,
    reserved: last & 0xff,
  };
  return decoded({ header, payload: bytes.subarray(VXLAN_HLEN) });
}

/** Writes the header over the first 8 bytes of `into`. */
export function encodeVxlan(header: VxlanHeader, into: Uint8Array): void {
  put32(into, 0, header.flags);
  put32(into, 4, ((header.vni << 8) | header.reserved) >>> 0);
}

/** As tcpdump prints it: `VXLAN, flags [I] (0x08), vni 1`. */
export function formatVxlan(header: VxlanHeader): string {
  const flags = header.flags >>> 24;
  return `VXLAN, flags [${(flags & 8) === 0 ? "." : "I"}] (0x${flags.toString(16).padStart(2, "0")}), vni ${header.vni}`;
}

/** Whether a datagram between these ports is taken for VXLAN by those who only look. */
export function isVxlanPort(bytes: Uint8Array, destinationPort: number): boolean {
  return (
    (destinationPort === VXLAN_PORT || destinationPort === VXLAN_LINUX_PORT) &&
    bytes.length >= VXLAN_HLEN &&
    get16(bytes, 0) === VXLAN_HF_VNI >>> 16
  );
}
