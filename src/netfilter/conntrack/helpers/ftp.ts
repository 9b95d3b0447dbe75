import { IPS_DST_NAT, IPS_SRC_NAT, isOriginalDirection } from "../../../core/conntrack.js";
import { type Micros, seconds } from "../../../sim/time.js";
import { IPPROTO_TCP } from "../../../wire/ipv4.js";
import { expectThroughNat, mangleTcpPayload } from "../../nat/helper.js";
import type { Expectation } from "../expectations.js";
import { type HelpResult, type HelpedPacket, type Helper, NO_HELP } from "../extensions.js";
import { before } from "../tcp-track.js";
import { type Direction, ORIGINAL, REPLY } from "../tuple.js";
import { formatFtp } from "./ftp-format.js";
import { type FtpAnnouncement, readFtp } from "./ftp-commands.js";

/** Sequence numbers after a newline, by direction: where the next line begins. Mirrors struct nf_ct_ftp_master. */
type FtpMemory = readonly [number[], number[]];

/** How many starts of lines are remembered. */
const NUM_SEQ_TO_REMEMBER = 2;

/**
 * FTP's control connection: PORT and EPRT of the client, the answers to PASV and EPSV of the server. Only a segment that
 * begins a line is read, so nothing is before a first line has gone by. Mirrors net/netfilter/nf_conntrack_ftp.c:help().
 */
export const ftp: Helper = {
  name: "ftp",
  protocols: [IPPROTO_TCP],
  maxExpected: 1,
  timeout: seconds(300),

  help(packet) {
    const { skb, entry, info } = packet;
    const { transport, payload } = skb.frame;
    if (info !== "ESTABLISHED" && info !== "ESTABLISHED_REPLY") return NO_HELP;
    if (transport?.kind !== "tcp" || payload.length === 0) return NO_HELP;
    const direction = isOriginalDirection(info) ? ORIGINAL : REPLY;
    const starts = memoryOf(packet)[direction];
    const data = latin1(payload);
    const next = (transport.sequence + payload.length) >>> 0;
    let result = NO_HELP;
    if (starts.includes(transport.sequence)) {
      const isIpv6 = typeof entry.original.source === "bigint";
      const reading = readFtp(data, direction === ORIGINAL ? "client" : "server", isIpv6);
      if (reading.kind === "partial")
        return { kind: "drop", why: `partial matching of \`${reading.name}'` };
      if (reading.kind === "announces") result = announce(packet, direction, reading.announcement);
    }
    if (data.endsWith("\n")) rememberStart(starts, next);
    return result;
  },
};

function memoryOf({ entry }: HelpedPacket): FtpMemory {
  const help = entry.ext?.help;
  if (help === undefined) return [[], []];
  help.memory ??= [[], []] satisfies FtpMemory;
  // Nobody else writes it.
  return help.memory as FtpMemory;
}

/** Mirrors update_nl_seq(). */
function rememberStart(starts: number[], sequence: number): void {
  if (starts.includes(sequence)) return;
  if (starts.length < NUM_SEQ_TO_REMEMBER) {
    starts.push(sequence);
    return;
  }
  const [first = 0, second = 0] = starts;
  const oldest = before(first, second) ? 0 : 1;
  if (before(starts[oldest] ?? 0, sequence)) starts[oldest] = sequence;
}

/** One end said where it listens: the other one may come. */
function announce(
  { skb, entry, table }: HelpedPacket,
  direction: Direction,
  announcement: FtpAnnouncement,
): HelpResult {
  const own = entry.tuple(direction);
  const other = entry.tuple(direction === ORIGINAL ? REPLY : ORIGINAL);
  // The connection will come from the other end, to where answers to this one go.
  let destination = other.destination;
  const { address } = announcement;
  if (address !== undefined && address !== own.source) {
    // An address that is not the speaker's may be an attack on somebody else.
    if (!table.settings.ftpLoose || address === "other") return NO_HELP;
    destination = address;
  }
  const expectation: Expectation = {
    master: entry,
    helper: ftp,
    tuple: {
      source: other.source,
      destination,
      protocol: IPPROTO_TCP,
      sourcePort: 0,
      destinationPort: announcement.port,
      icmpType: 0,
      icmpCode: 0,
    },
    onArrival: undefined,
    expires: 0 as Micros,
  };
  if ((entry.status & (IPS_SRC_NAT | IPS_DST_NAT)) === 0) {
    return table.expectations.add(expectation) === "expected"
      ? { kind: "expects", expectation }
      : { kind: "drop", why: "cannot add expectation" };
  }
  const expected = expectThroughNat(skb.ns, expectation, direction);
  if (expected === undefined) return { kind: "drop", why: "all ports in use" };
  const words = formatFtp(announcement.kind, other.destination, expected.tuple.destinationPort);
  mangleTcpPayload(skb, entry, direction, announcement, words);
  return { kind: "expects", expectation: expected };
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
