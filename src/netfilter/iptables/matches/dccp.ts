import type { SkBuff } from "../../../core/skbuff.js";
import { get8, get16 } from "../../../wire/bytes.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { upperPayload } from "../packet.js";
import { refuse } from "../refusal.js";
import {
  formatRange,
  formatTest,
  inRange,
  loosePortRange,
  type Negatable,
  type Range,
  unsigned,
} from "../values.js";

export const DCCP_TYPES = [
  "REQUEST",
  "RESPONSE",
  "DATA",
  "ACK",
  "DATAACK",
  "CLOSEREQ",
  "CLOSE",
  "RESET",
  "SYNC",
  "SYNCACK",
  "INVALID",
] as const;

interface Dccp {
  readonly source: Negatable<Range> | undefined;
  readonly destination: Negatable<Range> | undefined;
  readonly types: Negatable<readonly string[]> | undefined;
  readonly option: Negatable<number> | undefined;
}

const SPORT = option("source-port", loosePortRange, { alias: "sport", not: true });
const DPORT = option("destination-port", loosePortRange, { alias: "dport", not: true });
const TYPE = option("dccp-types", readTypes, { not: true });
const OPTION = option("dccp-option", unsigned(1, 255), { not: true });

/** `-m dccp`: ports, packet types and options of a DCCP packet. */
export const dccp: MatchExtension = defineMatch<Dccp>({
  name: "dccp",
  mirrors: "net/netfilter/xt_dccp.c:dccp_mt()",
  fidelity: "exact",
  examples: [
    "-p dccp|! --sport 1:100 --dport 200",
    "-p dccp|! --dccp-types REQUEST,RESPONSE --dccp-option 4",
  ],
  options: [SPORT, DPORT, TYPE, OPTION],
  only: { protocols: [33] },
  parse: (args) => ({
    source: args.get(SPORT),
    destination: args.get(DPORT),
    types: args.get(TYPE),
    option: args.get(OPTION),
  }),
  format: ({ source, destination, types, option: dccpOption }) =>
    [
      ...formatTest("sport", source, formatRange),
      ...formatTest("dport", destination, formatRange),
      ...formatTest("dccp-types", types, (names) => names.join(",")),
      ...formatTest("dccp-option", dccpOption, String),
    ].join(" "),
  isPure: true,
  matches({ source, destination, types, option: wanted }, skb) {
    const packet = packetOf(skb);
    if (packet === undefined) return false;
    if (packet.length < DCCP_HLEN) return "hotdrop";
    if (source !== undefined && inRange(get16(packet, 0), source.value) === source.invert)
      return false;
    if (
      destination !== undefined &&
      inRange(get16(packet, 2), destination.value) === destination.invert
    )
      return false;
    if (types !== undefined && types.value.includes(typeNameOf(packet)) === types.invert)
      return false;
    if (wanted === undefined) return true;
    const found = hasOption(packet, wanted.value);
    return found === "hotdrop" ? found : found !== wanted.invert;
  },
  why({ source, destination, types }, skb) {
    const packet = packetOf(skb);
    if (packet === undefined) return "packet is no DCCP packet, or a later fragment";
    if (packet.length < DCCP_HLEN) return "the DCCP header is cut short";
    const [from, to] = [get16(packet, 0), get16(packet, 2)];
    if (source !== undefined && inRange(from, source.value) === source.invert)
      return `packet has sport ${from}`;
    if (destination !== undefined && inRange(to, destination.value) === destination.invert)
      return `packet has dport ${to}`;
    if (types !== undefined && types.value.includes(typeNameOf(packet)) === types.invert)
      return `packet is ${typeNameOf(packet)}`;
    return "the packet's options are others";
  },
});

const IPPROTO_DCCP = 33;
/** Of the generic header with a short sequence number. */
const DCCP_HLEN = 12;

/** From the DCCP header on; undefined for later fragments. */
function packetOf({ frame }: SkBuff): Uint8Array | undefined {
  const upper = upperPayload(frame);
  return upper?.protocol === IPPROTO_DCCP ? upper.payload : undefined;
}

function typeOf(packet: Uint8Array): number {
  return (get8(packet, 8) >> 1) & 15;
}

/** The tool takes `INVALID` for every type without a name. Mirrors net/netfilter/xt_dccp.c:match_types(). */
function typeNameOf(packet: Uint8Array): string {
  return DCCP_TYPES[typeOf(packet)] ?? "INVALID";
}

/** Mirrors net/netfilter/xt_dccp.c:dccp_find_option(). */
function hasOption(packet: Uint8Array, wanted: number): boolean | "hotdrop" {
  const isLong = (get8(packet, 8) & 1) === 1;
  const from = DCCP_HLEN + (isLong ? 4 : 0) + (EXTRA[typeOf(packet)] ?? RESET_EXTRA);
  const end = get8(packet, 4) * 4;
  if (end < from || end > packet.length) return "hotdrop";
  for (let at = from; at < end;) {
    const kind = get8(packet, at);
    if (kind === wanted) return true;
    // Options below 2 are one byte, the others say how long they are.
    if (kind < 2) at++;
    else at += (at + 1 < packet.length ? get8(packet, at + 1) : 0) || 1;
  }
  return false;
}

/** What follows the generic header, by packet type, in bytes. Mirrors include/linux/dccp.h:dccp_packet_hdr_len(). */
const EXTRA: readonly number[] = [4, 12, 0, 8, 8, 8, 8, 12, 8, 8];
const RESET_EXTRA = 12;

function readTypes(text: string): readonly string[] {
  const named = text.split(",").map((word) => {
    const type = DCCP_TYPES.find((known) => known === word.toUpperCase());
    if (type === undefined) throw refuse(`Unknown DCCP type \`${word}'`);
    return type;
  });
  return DCCP_TYPES.filter((type) => named.includes(type));
}
