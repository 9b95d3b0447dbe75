import { get16, get32, get8 } from "./bytes.js";
import {
  SCTP_ABORT,
  SCTP_COOKIE_ACK,
  SCTP_COOKIE_ECHO,
  SCTP_DATA,
  SCTP_ERROR,
  SCTP_HEARTBEAT,
  SCTP_HEARTBEAT_ACK,
  SCTP_HLEN,
  SCTP_INIT,
  SCTP_INIT_ACK,
  SCTP_SHUTDOWN,
  SCTP_SHUTDOWN_ACK,
  SCTP_SHUTDOWN_COMPLETE,
} from "./sctp.js";

const SCTP_SACK = 3;
const SCTP_ECNE = 12;
const SCTP_CWR = 13;

const NAMES: ReadonlyMap<number, string> = new Map([
  [SCTP_DATA, "DATA"],
  [SCTP_INIT, "INIT"],
  [SCTP_INIT_ACK, "INIT ACK"],
  [SCTP_SACK, "SACK"],
  [SCTP_HEARTBEAT, "HB REQ"],
  [SCTP_HEARTBEAT_ACK, "HB ACK"],
  [SCTP_ABORT, "ABORT"],
  [SCTP_SHUTDOWN, "SHUTDOWN"],
  [SCTP_SHUTDOWN_ACK, "SHUTDOWN ACK"],
  [SCTP_ERROR, "OP ERR"],
  [SCTP_COOKIE_ECHO, "COOKIE ECHO"],
  [SCTP_COOKIE_ACK, "COOKIE ACK"],
  [SCTP_ECNE, "ECN ECHO"],
  [SCTP_CWR, "ECN CWR"],
  [SCTP_SHUTDOWN_COMPLETE, "SHUTDOWN COMPLETE"],
]);

/** Payload protocols of DATA, from 1 on, as tcpdump names them. */
const PAYLOADS: readonly string[] = [
  ..."ISDN Q.921,M2UA,M3UA,SUA,M2PA,V5.2,H.248,BICC,TALI,DUA,ASAP,ENRP,H.323,Q.IPC".split(","),
  ..."SIMCO,DDPSC,DDPSSC,S1AP,RUA,HNBAP,ForCES HP,ForCES MP,ForCES LP,SBc-AP,NBAP,,X2AP".split(","),
];

/**
 * What tcpdump prints behind the ports, chunk by chunk: `sctp (1) [COOKIE ECHO] , (2) [DATA] (B)(E) [TSN: 1] …`. Differs: on
 * one line, where tcpdump puts the blocks of a SACK on lines of their own. `bytes` begin with the common header.
 */
export function formatSctp(bytes: Uint8Array): string {
  let text = "sctp";
  for (let at = SCTP_HLEN, number = 1; at < bytes.length; number++) {
    const left = bytes.length - at;
    const before = number === 1 ? ` (${number})` : ` , (${number})`;
    if (left < 4) return `${text}${before} [chunk descriptor cut off at end of packet]`;
    const length = get16(bytes, at + 2);
    if (length > left) return `${text} [|sctp]`;
    if (length < 4)
      return `${text}${before} [Bad chunk length ${length}, < size of chunk descriptor]`;
    const chunk = bytes.subarray(at, at + length);
    const { words, isBogus } = formatChunk(chunk);
    text += `${before} ${words}`;
    if (isBogus) return `${text} bogus chunk length ${length}]`;
    const step = (length + 3) & ~3;
    if (step > left) return `${text} [|sctp]`;
    at += step;
  }
  return text;
}

interface ChunkWords {
  readonly words: string;
  /** It is too short for what it is. */
  readonly isBogus: boolean;
}

function formatChunk(chunk: Uint8Array): ChunkWords {
  const type = get8(chunk, 0);
  const name = NAMES.get(type);
  const title = name === undefined ? `[Unknown chunk type: 0x${type.toString(16)}]` : `[${name}]`;
  switch (type) {
    case SCTP_DATA: {
      const flagged = `${title}${flagsOf(get8(chunk, 1))}`;
      if (chunk.length < 16) return { words: flagged, isBogus: true };
      return { words: `${flagged} ${formatData(chunk)}`, isBogus: chunk.length === 16 };
    }
    case SCTP_INIT:
    case SCTP_INIT_ACK:
      if (chunk.length < 20) return { words: title, isBogus: true };
      return { words: `${title} ${formatInit(chunk)}`, isBogus: false };
    case SCTP_SACK:
      if (chunk.length < 16) return { words: title, isBogus: true };
      return { words: `${title} ${formatSack(chunk)}`, isBogus: false };
    default:
      return { words: title, isBogus: false };
  }
}

/** Unordered, beginning and end of a message. */
function flagsOf(flags: number): string {
  const letters = [
    [4, "(U)"],
    [2, "(B)"],
    [1, "(E)"],
  ] as const;
  const set = letters.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter);
  return set.length === 0 ? "" : ` ${set.join("")}`;
}

function formatData(chunk: Uint8Array): string {
  const payload = get32(chunk, 12);
  const known = PAYLOADS[payload - 1] ?? "";
  const protocol = known === "" ? `0x${payload.toString(16)}` : known;
  return `[TSN: ${get32(chunk, 4)}] [SID: ${get16(chunk, 8)}] [SSEQ ${get16(chunk, 10)}] [PPID ${protocol}]`;
}

function formatInit(chunk: Uint8Array): string {
  return `[init tag: ${get32(chunk, 4)}] [rwnd: ${get32(chunk, 8)}] [OS: ${get16(chunk, 12)}] [MIS: ${get16(chunk, 14)}] [init TSN: ${get32(chunk, 16)}]`;
}

function formatSack(chunk: Uint8Array): string {
  const acknowledged = get32(chunk, 4);
  const [gaps, doubles] = [get16(chunk, 12), get16(chunk, 14)];
  const blocks: string[] = [];
  let at = 16;
  for (let gap = 1; gap <= gaps && at + 4 <= chunk.length; gap++, at += 4) {
    const [start, end] = [get16(chunk, at), get16(chunk, at + 2)];
    blocks.push(
      `[gap ack block #${gap}: start = ${(acknowledged + start) >>> 0}, end = ${(acknowledged + end) >>> 0}]`,
    );
  }
  for (let double = 1; double <= doubles && at + 4 <= chunk.length; double++, at += 4)
    blocks.push(`[dup TSN #${double}: ${get32(chunk, at)}]`);
  const head = `[cum ack ${acknowledged}] [a_rwnd ${get32(chunk, 8)}] [#gap acks ${gaps}] [#dup tsns ${doubles}]`;
  return [head, ...blocks].join(" ");
}
