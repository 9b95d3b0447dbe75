import type { SkBuff } from "../../../core/skbuff.js";
import { get8, get16 } from "../../../wire/bytes.js";
import { decodeSctp, SCTP_HLEN } from "../../../wire/sctp.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option, type OptionUse } from "../options.js";
import { upperPayload } from "../packet.js";
import { refuse } from "../refusal.js";
import {
  formatRange,
  formatTest,
  inRange,
  type Negatable,
  portRange,
  type Range,
} from "../values.js";
import { IPPROTO_SCTP } from "../../../wire/ports.js";

interface Chunk {
  readonly type: number;
  /** Letters: upper case must be set, lower case clear. */
  readonly flags: string;
}

interface Chunks {
  readonly mode: "all" | "any" | "only";
  /** `ALL`: types without a name as well. */
  readonly everything: boolean;
  readonly chunks: readonly Chunk[];
}

interface Sctp {
  readonly source: Negatable<Range> | undefined;
  readonly destination: Negatable<Range> | undefined;
  readonly chunks: Negatable<Chunks> | undefined;
}

/** Names of chunks with their types, in the order they are printed. */
export const SCTP_TYPES: readonly (readonly [string, number])[] = [
  ["DATA", 0],
  ["INIT", 1],
  ["INIT_ACK", 2],
  ["SACK", 3],
  ["HEARTBEAT", 4],
  ["HEARTBEAT_ACK", 5],
  ["ABORT", 6],
  ["SHUTDOWN", 7],
  ["SHUTDOWN_ACK", 8],
  ["ERROR", 9],
  ["COOKIE_ECHO", 10],
  ["COOKIE_ACK", 11],
  ["ECN_ECNE", 12],
  ["ECN_CWR", 13],
  ["SHUTDOWN_COMPLETE", 14],
  ["I_DATA", 64],
  ["ASCONF_ACK", 128],
  ["RE_CONFIG", 130],
  ["PAD", 132],
  ["FORWARD_TSN", 192],
  ["ASCONF", 193],
  ["I_FORWARD_TSN", 194],
];
/** Flag letters by chunk type, highest bit first. */
const FLAGS: ReadonlyMap<number, string> = new Map([
  [0, "IUBE"],
  [6, "T"],
  [14, "T"],
]);

const SPORT = option("source-port", portRange, { alias: "sport", not: true });
const DPORT = option("destination-port", portRange, { alias: "dport", not: true });
const CHUNKS = option("chunk-types", readChunks, {
  not: true,
  second: "--chunk-types requires two args",
});

/** `-m sctp`: ports and chunks of an SCTP packet. */
export const sctp: MatchExtension = defineMatch<Sctp>({
  name: "sctp",
  mirrors: "net/netfilter/xt_sctp.c:sctp_mt()",
  fidelity: "exact",
  examples: [
    "-p sctp|--dport 5060",
    "-p sctp|! --sport 100:200 --chunk-types any DATA:ube,SACK",
    "-p sctp|! --chunk-types all ALL",
  ],
  options: [SPORT, DPORT, CHUNKS],
  only: { protocols: [132] },
  parse: (args) => ({
    source: args.get(SPORT),
    destination: args.get(DPORT),
    chunks: args.get(CHUNKS),
  }),
  format: ({ source, destination, chunks }) =>
    [
      ...formatTest("sport", source, formatRange),
      ...formatTest("dport", destination, formatRange),
      ...formatTest("chunk-types", chunks, formatChunks),
    ].join(" "),
  isPure: true,
  matches({ source, destination, chunks }, skb) {
    const packet = packetOf(skb);
    if (packet === undefined) return false;
    if (packet.length < SCTP_HLEN) return "hotdrop";
    if (source !== undefined && inRange(get16(packet, 0), source.value) === source.invert)
      return false;
    if (
      destination !== undefined &&
      inRange(get16(packet, 2), destination.value) === destination.invert
    )
      return false;
    if (chunks === undefined) return true;
    const fits = fitsChunks(packet, chunks.value);
    return fits === "hotdrop" ? fits : fits !== chunks.invert;
  },
  why({ source, destination }, skb) {
    const packet = packetOf(skb);
    if (packet === undefined) return "packet is no SCTP packet, or a later fragment";
    if (packet.length < SCTP_HLEN) return "the SCTP header is cut short";
    const [from, to] = [get16(packet, 0), get16(packet, 2)];
    if (source !== undefined && inRange(from, source.value) === source.invert)
      return `packet has sport ${from}`;
    if (destination !== undefined && inRange(to, destination.value) === destination.invert)
      return `packet has dport ${to}`;
    const types = (decodeSctp(packet)?.chunks ?? []).map(({ type }) => nameOf(type));
    return `packet has chunks ${types.join(",")}`;
  },
});

/** From the SCTP header on; undefined for later fragments. */
function packetOf({ frame }: SkBuff): Uint8Array | undefined {
  const upper = upperPayload(frame);
  return upper?.protocol === IPPROTO_SCTP ? upper.payload : undefined;
}

/** Mirrors net/netfilter/xt_sctp.c:match_packet(). */
function fitsChunks(packet: Uint8Array, { mode, everything, chunks }: Chunks): boolean | "hotdrop" {
  const missing = new Set(everything ? ALL_TYPES : chunks.map(({ type }) => type));
  let at = SCTP_HLEN;
  do {
    const length = at + 4 <= packet.length ? get16(packet, at + 2) : 0;
    if (length === 0) return "hotdrop";
    const [type, flags] = [get8(packet, at), get8(packet, at + 1)];
    const wanted = everything ? ANY_CHUNK : chunks.find((chunk) => chunk.type === type);
    const fits = wanted !== undefined && fitsFlags(wanted, flags);
    if (fits && mode === "any") return true;
    if (!fits && mode === "only") return false;
    if (fits) missing.delete(type);
    at += (length + 3) & ~3;
  } while (at < packet.length);
  return mode === "all" ? missing.size === 0 : mode === "only";
}

const ALL_TYPES: readonly number[] = Array.from({ length: 256 }, (_, type) => type);
const ANY_CHUNK: Chunk = { type: 0, flags: "" };

/** Letters stand for the lowest bits: upper case for one that is set. Mirrors match_flags(). */
function fitsFlags({ type, flags }: Chunk, bits: number): boolean {
  const known = FLAGS.get(type) ?? "";
  return [...flags].every((letter) => {
    const bit = known.length - 1 - known.indexOf(letter.toUpperCase());
    return (((bits >> bit) & 1) === 1) === (letter === letter.toUpperCase());
  });
}

function nameOf(type: number): string {
  return SCTP_TYPES.find(([, number]) => number === type)?.[0] ?? String(type);
}

function readChunks(text: string, { second }: OptionUse): Chunks {
  const mode = (["all", "any", "only"] as const).find((known) => known === text.toLowerCase());
  if (mode === undefined) throw refuse('Match type has to be one of "ALL", "ANY" or "ONLY"');
  if (second.toUpperCase() === "ALL") return { mode, everything: true, chunks: [] };
  if (second.toUpperCase() === "NONE") return { mode, everything: false, chunks: [] };
  const chunks = second.split(",").map((part) => {
    const [name = "", flags = ""] = part.split(":");
    const type = SCTP_TYPES.find(([known]) => known === name.toUpperCase())?.[1];
    if (type === undefined) throw refuse(`Unknown sctp chunk \`${name}'`);
    const known = FLAGS.get(type) ?? "";
    if ([...flags].some((letter) => !known.includes(letter.toUpperCase())))
      throw refuse(`Invalid flags for chunk type ${type}`);
    const given = [...known].flatMap(
      (letter) => [...flags].find((flag) => flag.toUpperCase() === letter) ?? [],
    );
    return { type, flags: given.join("") };
  });
  return {
    mode,
    everything: false,
    chunks: SCTP_TYPES.flatMap(([, type]) => chunks.findLast((chunk) => chunk.type === type) ?? []),
  };
}

function formatChunks({ mode, everything, chunks }: Chunks): string {
  if (everything) return `${mode} ALL`;
  if (chunks.length === 0) return `${mode} NONE`;
  const names = chunks.map(
    ({ type, flags }) => `${nameOf(type)}${flags === "" ? "" : `:${flags}`}`,
  );
  return `${mode} ${names.join(",")}`;
}
