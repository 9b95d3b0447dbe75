import { get8, get16, get32, put8, put16, put32 } from "./bytes.js";
import { checksumErrorOf, internetChecksum, spoilChecksum } from "./checksum.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import { type Ipv4, formatIpv4, ipv4 } from "./ip.js";

export const IPPROTO_IGMP = 2;

/** Types of messages. RFC 2236, RFC 3376. */
const IGMP_HOST_MEMBERSHIP_QUERY = 0x11;
const IGMP_HOST_MEMBERSHIP_REPORT = 0x12;
const IGMPV2_HOST_MEMBERSHIP_REPORT = 0x16;
const IGMP_HOST_LEAVE_MESSAGE = 0x17;
const IGMPV3_HOST_MEMBERSHIP_REPORT = 0x22;

/** Record types of a version 3 report. RFC 3376 §4.2.12. */
export const IGMPV3_MODE_IS_INCLUDE = 1;
export const IGMPV3_MODE_IS_EXCLUDE = 2;
export const IGMPV3_CHANGE_TO_INCLUDE = 3;
export const IGMPV3_CHANGE_TO_EXCLUDE = 4;

const IGMP_HLEN = 8;
const IGMPV3_QUERY_HLEN = 12;

/** Router Alert, which every report carries. RFC 2113. */
export const IPV4_ROUTER_ALERT: Uint8Array = new Uint8Array([0x94, 4, 0, 0]);

/** What a version 3 record says of one group, without auxiliary data. */
export interface IgmpRecord {
  readonly type: number;
  readonly group: Ipv4;
  readonly sources: readonly Ipv4[];
}

/** What a version 3 query has beyond the older ones. */
export interface IgmpQueryExtension {
  /** Routers that hear it leave their timers alone. */
  readonly suppress: boolean;
  /** Querier's Robustness Variable, 0..7. */
  readonly robustness: number;
  /** Querier's Query Interval Code as it stands, 0..255. */
  readonly intervalCode: number;
  readonly sources: readonly Ipv4[];
}

/** An IGMP message of any version. `group` of a query is 0.0.0.0 when it asks about all groups. */
export type IgmpMessage = (
  | {
      readonly kind: "query";
      readonly group: Ipv4;
      /** As it stands, 0..255: tenths of a second, 0 in version 1, a code from 128 on in version 3. */
      readonly responseCode: number;
      readonly version3: IgmpQueryExtension | undefined;
    }
  | { readonly kind: "report"; readonly version: 1 | 2; readonly group: Ipv4 }
  | { readonly kind: "leave"; readonly group: Ipv4 }
  | { readonly kind: "report3"; readonly records: readonly IgmpRecord[] }
) & {
  /** How far the checksum is off, 1..65534 in one's complement; absent when it is right. */
  readonly checksumError?: number | undefined;
};

/** Reads what an IPv4 packet of protocol 2 carries: its whole payload. */
export function decodeIgmp(bytes: Uint8Array): Decoded<IgmpMessage> {
  if (bytes.length < IGMP_HLEN)
    return refused(`IGMP message cut short: ${bytes.length} of ${IGMP_HLEN} bytes`);
  const error = checksumErrorOf(bytes);
  const wrong = error === undefined ? {} : { checksumError: error };
  const group = ipv4(get32(bytes, 4));
  switch (get8(bytes, 0)) {
    case IGMP_HOST_MEMBERSHIP_QUERY:
      return decodeQuery(bytes, group, wrong);
    case IGMP_HOST_MEMBERSHIP_REPORT:
      return decoded({ kind: "report", version: 1, group, ...wrong });
    case IGMPV2_HOST_MEMBERSHIP_REPORT:
      return decoded({ kind: "report", version: 2, group, ...wrong });
    case IGMP_HOST_LEAVE_MESSAGE:
      return decoded({ kind: "leave", group, ...wrong });
    case IGMPV3_HOST_MEMBERSHIP_REPORT:
      return decodeReport3(bytes, wrong);
    default:
      return refused(`IGMP message of type ${get8(bytes, 0)}`);
  }
}

type Wrong = { readonly checksumError?: number };

function decodeQuery(bytes: Uint8Array, group: Ipv4, wrong: Wrong): Decoded<IgmpMessage> {
  const query = { kind: "query", group, responseCode: get8(bytes, 1), ...wrong } as const;
  if (bytes.length < IGMPV3_QUERY_HLEN) return decoded({ ...query, version3: undefined });
  const count = get16(bytes, 10);
  const length = IGMPV3_QUERY_HLEN + 4 * count;
  if (bytes.length < length)
    return refused(`IGMP query cut short: ${bytes.length} of ${length} bytes`);
  const version3: IgmpQueryExtension = {
    suppress: (get8(bytes, 8) & 8) !== 0,
    robustness: get8(bytes, 8) & 7,
    intervalCode: get8(bytes, 9),
    sources: getAddresses(bytes, IGMPV3_QUERY_HLEN, count),
  };
  return decoded({ ...query, version3 });
}

function decodeReport3(bytes: Uint8Array, wrong: Wrong): Decoded<IgmpMessage> {
  const records: IgmpRecord[] = [];
  let at = IGMP_HLEN;
  for (let left = get16(bytes, 6); left > 0; left--) {
    const count = get16(bytes, at + 2);
    const end = at + 8 + 4 * count + 4 * get8(bytes, at + 1);
    if (end > bytes.length)
      return refused(`IGMP report cut short: ${bytes.length} of ${end} bytes`);
    const group = ipv4(get32(bytes, at + 4));
    records.push({ type: get8(bytes, at), group, sources: getAddresses(bytes, at + 8, count) });
    at = end;
  }
  return decoded({ kind: "report3", records, ...wrong });
}

function getAddresses(bytes: Uint8Array, at: number, count: number): Ipv4[] {
  return Array.from({ length: count }, (_, index) => ipv4(get32(bytes, at + 4 * index)));
}

/** The whole message with its checksum: the payload of an IPv4 packet of protocol 2. */
export function encodeIgmp(message: IgmpMessage): Uint8Array {
  const bytes = encodeBody(message);
  put16(bytes, 2, spoilChecksum(internetChecksum(bytes), message.checksumError));
  return bytes;
}

function encodeBody(message: IgmpMessage): Uint8Array {
  if (message.kind === "report3") return encodeReport3(message.records);
  if (message.kind === "query") return encodeQuery(message);
  const bytes = new Uint8Array(IGMP_HLEN);
  const report =
    message.kind === "report" && message.version === 1
      ? IGMP_HOST_MEMBERSHIP_REPORT
      : IGMPV2_HOST_MEMBERSHIP_REPORT;
  put8(bytes, 0, message.kind === "leave" ? IGMP_HOST_LEAVE_MESSAGE : report);
  put32(bytes, 4, message.group);
  return bytes;
}

function encodeQuery(query: Extract<IgmpMessage, { kind: "query" }>): Uint8Array {
  const { version3 } = query;
  const sources = version3?.sources ?? [];
  const bytes = new Uint8Array(
    version3 === undefined ? IGMP_HLEN : IGMPV3_QUERY_HLEN + 4 * sources.length,
  );
  put8(bytes, 0, IGMP_HOST_MEMBERSHIP_QUERY);
  put8(bytes, 1, query.responseCode);
  put32(bytes, 4, query.group);
  if (version3 === undefined) return bytes;
  put8(bytes, 8, (version3.suppress ? 8 : 0) | version3.robustness);
  put8(bytes, 9, version3.intervalCode);
  put16(bytes, 10, sources.length);
  putAddresses(bytes, IGMPV3_QUERY_HLEN, sources);
  return bytes;
}

function encodeReport3(records: readonly IgmpRecord[]): Uint8Array {
  const length = records.reduce((sum, { sources }) => sum + 8 + 4 * sources.length, IGMP_HLEN);
  const bytes = new Uint8Array(length);
  put8(bytes, 0, IGMPV3_HOST_MEMBERSHIP_REPORT);
  put16(bytes, 6, records.length);
  let at = IGMP_HLEN;
  for (const { type, group, sources } of records) {
    put8(bytes, at, type);
    put16(bytes, at + 2, sources.length);
    put32(bytes, at + 4, group);
    putAddresses(bytes, at + 8, sources);
    at += 8 + 4 * sources.length;
  }
  return bytes;
}

function putAddresses(bytes: Uint8Array, at: number, addresses: readonly Ipv4[]): void {
  for (const [index, address] of addresses.entries()) put32(bytes, at + 4 * index, address);
}

/** A code of a version 3 query as a number: from 128 on it has an exponent. RFC 3376 §4.1.1. */
export function igmpCodeValue(code: number): number {
  return code < 128 ? code : ((code & 15) | 16) << (((code >> 4) & 7) + 3);
}

/** As tcpdump prints it: `igmp v3 report, 1 group record(s)`. */
export function formatIgmp(message: IgmpMessage): string {
  switch (message.kind) {
    case "report":
      return `igmp v${message.version} report ${formatIpv4(message.group)}`;
    case "leave":
      return `igmp leave ${formatIpv4(message.group)}`;
    case "report3":
      return `igmp v3 report, ${message.records.length} group record(s)`;
    case "query":
      return `igmp query${formatQuery(message)}`;
  }
}

function formatQuery(query: Extract<IgmpMessage, { kind: "query" }>): string {
  const { responseCode, version3 } = query;
  const group = formatIpv4(query.group);
  const about = query.group === 0 ? "" : ` [gaddr ${group}]`;
  if (version3 !== undefined) return ` v3${formatQuery3(responseCode, group, version3)}`;
  if (responseCode === 0) return ` v1${about}`;
  const within = responseCode === 100 ? "" : ` [max resp time ${responseCode}]`;
  return ` v2${within}${about}`;
}

function formatQuery3(code: number, group: string, { sources }: IgmpQueryExtension): string {
  const tenths = igmpCodeValue(code);
  const within = code === 100 ? "" : ` [max resp time ${formatTenths(tenths)}]`;
  if (group === "0.0.0.0") return within;
  const from = sources.length === 0 ? "" : `, ${sources.length} source(s)`;
  return `${within} [gaddr ${group}${from}]`;
}

function formatTenths(tenths: number): string {
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`;
  const whole = Math.floor(tenths / 10);
  return `${Math.floor(whole / 60)}m${whole % 60}s`;
}
