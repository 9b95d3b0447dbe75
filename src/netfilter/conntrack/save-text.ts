import {
  IPS_ASSURED,
  IPS_DST_NAT,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT,
} from "../../core/conntrack.js";
import type { Micros } from "../../sim/time.js";
import { formatIp } from "../../wire/ip.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import { IPPROTO_ICMPV6 } from "../../wire/ipv6.js";
import type { Connection } from "./connection.js";
import { conntrackProtocol } from "./protocols.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";

/** `-A` for what is there and what begins, `-U` for what changed, `-D` for what ended. */
export type SaveCommand = "-A" | "-U" | "-D";

/** One line of `conntrack -L -o save`, which `conntrack --load-file` takes. Mirrors conntrack-tools' ct_save_snprintf(). */
export function formatSavedEntry(command: SaveCommand, entry: Connection, now: Micros): string {
  const { original, reply, status, state } = entry;
  const left = Math.max(0, Math.floor((entry.expires - now) / 1_000_000));
  const isIpv6 = typeof original.source === "bigint";
  return [
    command,
    `-t ${left}`,
    `-u ${formatStatus(status)}`,
    ...zone(entry),
    `-s ${formatIp(original.source)}`,
    `-d ${formatIp(original.destination)}`,
    `${(status & IPS_DST_NAT) === 0 ? "-r" : "-g"} ${formatIp(reply.source)}`,
    `${(status & IPS_SRC_NAT) === 0 ? "-q" : "-n"} ${formatIp(reply.destination)}`,
    `-p ${protocolWord(original.protocol)}`,
    ...ports(entry, isIpv6),
    ...(state === undefined ? [] : [`--state ${state}`]),
  ].join(" ");
}

const STATUS = [
  ["EXPECTED", IPS_EXPECTED],
  ["SEEN_REPLY", IPS_SEEN_REPLY],
  ["ASSURED", IPS_ASSURED],
  ["FIXED_TIMEOUT", IPS_FIXED_TIMEOUT],
] as const;

function formatStatus(status: number): string {
  const names = STATUS.filter(([, bit]) => (status & bit) !== 0).map(([name]) => name);
  return names.length === 0 ? "UNSET" : names.join(",");
}

function zone({ zones }: Connection): readonly string[] {
  if (zones.id === 0) return [];
  const option =
    zones.directions === 3 ? "-w" : zones.directions === 1 ? "--orig-zone" : "--reply-zone";
  return [`${option} ${zones.id}`];
}

function protocolWord(protocol: number): string {
  const { name } = conntrackProtocol(protocol);
  return name === "unknown" ? String(protocol) : name;
}

function ports({ original, reply }: Connection, isIpv6: boolean): readonly string[] {
  switch (original.protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE:
      return [
        `--sport ${original.sourcePort}`,
        `--dport ${original.destinationPort}`,
        `--reply-port-src ${reply.sourcePort}`,
        `--reply-port-dst ${reply.destinationPort}`,
      ];
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: {
      const word = isIpv6 ? "icmpv6" : "icmp";
      return [
        `--${word}-type ${original.icmpType}`,
        `--${word}-code ${original.icmpCode}`,
        `--${word}-id ${original.sourcePort}`,
      ];
    }
    default:
      return [];
  }
}
