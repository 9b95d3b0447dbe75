import type { LogPart } from "../core/trace.js";
import type { TransportHeader } from "../wire/frame.js";
import {
  TCP_ACK,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_PSH,
  TCP_RST,
  TCP_SYN,
  TCP_URG,
  type TcpHeader,
} from "../wire/tcp.js";

/** What kernel logs say behind the IP header, the same for both families. */

/** Names of protocols there; the others are numbers. */
const NAMES: Readonly<Record<number, string>> = {
  6: "TCP",
  17: "UDP",
  136: "UDPLITE",
  50: "ESP",
  51: "AH",
};

/** `PROTO=TCP SPT=… DPT=… …`; `icmp` writes what follows an ICMP message's name. */
export function dumpTransport(
  packet: {
    readonly protocol: number;
    readonly isLaterFragment: boolean;
    readonly transport: TransportHeader | undefined;
    readonly payload: Uint8Array;
  },
  parts: ReadonlySet<LogPart>,
): string {
  const { protocol, transport, payload } = packet;
  const known = NAMES[protocol];
  const name = `PROTO=${known ?? protocol} `;
  if (packet.isLaterFragment || known === undefined) return name;
  switch (transport?.kind) {
    case "tcp":
      return name + dumpTcp(transport, parts);
    case "udp":
      return `${name}SPT=${transport.sourcePort} DPT=${transport.destinationPort} LEN=${payload.length + 8} `;
    default:
      return `${name}INCOMPLETE [${payload.length} bytes] `;
  }
}

const TCP_FLAGS: readonly (readonly [number, string])[] = [
  [TCP_CWR, "CWR"],
  [TCP_ECE, "ECE"],
  [TCP_URG, "URG"],
  [TCP_ACK, "ACK"],
  [TCP_PSH, "PSH"],
  [TCP_RST, "RST"],
  [TCP_SYN, "SYN"],
  [TCP_FIN, "FIN"],
];

/** Mirrors net/netfilter/nf_log_syslog.c:nf_log_dump_tcp_header(). */
export function dumpTcp(header: TcpHeader, parts: ReadonlySet<LogPart>): string {
  const numbers = `SEQ=${header.sequence} ACK=${header.acknowledgment} `;
  const options = header.options.length > 0 ? `OPT (${upperHex(header.options)}) ` : "";
  return [
    `SPT=${header.sourcePort} DPT=${header.destinationPort} `,
    parts.has("tcp-sequence") ? numbers : "",
    `WINDOW=${header.window} RES=0x00 `,
    flagWords(header.flags, TCP_FLAGS),
    `URGP=${header.urgent} `,
    parts.has("tcp-options") ? options : "",
  ].join("");
}

/** The names of the bits that are set, each with a blank behind it. */
export function flagWords(flags: number, names: readonly (readonly [number, string])[]): string {
  return names.map(([bit, name]) => ((flags & bit) === 0 ? "" : `${name} `)).join("");
}

export function upperHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join("");
}
