import { get16, get8, put16, put8 } from "./bytes.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import type { OptionsExtension } from "./ipv6-extension.js";
import { type Ipv6, getIpv6, putIpv6 } from "./ip.js";

/** Record types of an MLDv2 report. RFC 3810 §5.2.12. */
export const MLD2_MODE_IS_EXCLUDE = 2;
export const MLD2_CHANGE_TO_INCLUDE = 3;
export const MLD2_CHANGE_TO_EXCLUDE = 4;

const RECORD_LENGTH = 20;

/** One multicast address record of an MLDv2 report, without auxiliary data. */
export interface MldRecord {
  readonly type: number;
  readonly group: Ipv6;
  readonly sources: readonly Ipv6[];
}

/** Reads the payload of an MLDv2 report; `count` is the lower half of the header's second word. */
export function decodeMldRecords(count: number, payload: Uint8Array): Decoded<MldRecord[]> {
  const records: MldRecord[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    const sources = get16(payload, at + 2);
    const length = RECORD_LENGTH + 16 * sources + 4 * get8(payload, at + 1);
    if (at + length > payload.length)
      return refused(`MLD report cut short: ${payload.length} of ${at + length} bytes`);
    records.push({
      type: get8(payload, at),
      group: getIpv6(payload, at + 4),
      sources: Array.from({ length: sources }, (_, of) =>
        getIpv6(payload, at + RECORD_LENGTH + 16 * of),
      ),
    });
    at += length;
  }
  return decoded(records);
}

/** The payload of an MLDv2 report. */
export function encodeMldRecords(records: readonly MldRecord[]): Uint8Array {
  const length = records.reduce((sum, { sources }) => sum + RECORD_LENGTH + 16 * sources.length, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const { type, group, sources } of records) {
    put8(bytes, at, type);
    put16(bytes, at + 2, sources.length);
    putIpv6(bytes, at + 4, group);
    for (const [of, source] of sources.entries())
      putIpv6(bytes, at + RECORD_LENGTH + 16 * of, source);
    at += RECORD_LENGTH + 16 * sources.length;
  }
  return bytes;
}

/** Hop-by-hop options with router alert for MLD (value 0), which every report carries. RFC 2711. */
export const MLD_ROUTER_ALERT: OptionsExtension = {
  kind: "options",
  type: 0,
  body: new Uint8Array([5, 2, 0, 0, 1, 0]),
};
