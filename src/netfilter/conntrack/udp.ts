import { IPCT_ASSURED, IPS_ASSURED, IPS_NAT_CLASH, IPS_SEEN_REPLY } from "../../core/conntrack.js";
import { later, seconds } from "../../sim/time.js";
import type { Connection } from "./connection.js";
import {
  type ConntrackProtocol,
  type Judgement,
  type Tracked,
  VALID,
  checksumFails,
  invalid,
  refreshAndCount,
  timeoutsOf,
} from "./protocol.js";
import type { TimeoutName } from "./settings.js";
import { udpliteError } from "./udplite.js";

/** UDP. Mirrors net/netfilter/nf_conntrack_proto_udp.c:nf_conntrack_udp_packet(). */
export const udp: ConntrackProtocol = {
  name: "udp",
  allowClash: true,

  track(entry, packet) {
    if (packet.skb.frame.transport?.kind !== "udp") return invalid("short packet");
    if (checksumFails(packet)) return invalid("bad checksum");
    return trackDatagram(entry, packet, "udp_timeout", "udp_timeout_stream");
  },
};

/** UDP-Lite. Mirrors nf_conntrack_udplite_packet(). */
export const udplite: ConntrackProtocol = {
  name: "udplite",
  allowClash: true,

  track(entry, packet) {
    const error = udpliteError(packet);
    if (error !== undefined) return invalid(error);
    return trackDatagram(entry, packet, "udp_timeout", "udp_timeout_stream");
  },
};

/** Two-way traffic later than this after the first packet is a stream. */
const STREAM_AFTER = seconds(2);

function trackDatagram(
  entry: Connection,
  packet: Tracked,
  single: TimeoutName,
  stream: TimeoutName,
): Judgement {
  const { table } = packet;
  const timeouts = timeoutsOf(entry, table);
  if (!entry.confirmed) entry.streamAfter = later(table.now, STREAM_AFTER);
  const isStream = (entry.status & IPS_SEEN_REPLY) !== 0 && table.now > entry.streamAfter;
  refreshAndCount(entry, timeouts[isStream ? stream : single], packet);
  if (isStream && (entry.status & (IPS_ASSURED | IPS_NAT_CLASH)) === 0) {
    entry.status |= IPS_ASSURED;
    entry.events |= IPCT_ASSURED;
  }
  return VALID;
}
