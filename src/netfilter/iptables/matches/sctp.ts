import { type MatchExtension, defineMatch } from "../extension.js";
import { option, type OptionUse } from "../options.js";
import { portsOf } from "../packet.js";
import { refuse } from "../refusal.js";
import {
  formatRange,
  formatTest,
  inRange,
  type Negatable,
  portRange,
  type Range,
} from "../values.js";

interface Chunk {
  readonly type: number;
  /** Letters: upper case must be set, lower case clear. */
  readonly flags: string;
}

interface Chunks {
  readonly mode: "all" | "any" | "only";
  readonly chunks: readonly Chunk[];
}

interface Sctp {
  readonly source: Negatable<Range> | undefined;
  readonly destination: Negatable<Range> | undefined;
  readonly chunks: Negatable<Chunks> | undefined;
}

/** Names of chunks with their types, in the order they are printed. */
const TYPES: readonly (readonly [string, number])[] = [
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
  fidelity: "simplified",
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
  matches({ source, destination, chunks }, skb) {
    const { network } = skb.frame;
    if (network?.kind === "ipv4" && network.fragmentOffset > 0) return false;
    const ports = portsOf(skb);
    if (ports === undefined) return "hotdrop";
    if (source !== undefined && inRange(ports.source, source.value) === source.invert) return false;
    if (
      destination !== undefined &&
      inRange(ports.destination, destination.value) === destination.invert
    )
      return false;
    return chunks === undefined ? true : "unknown";
  },
});

function readChunks(text: string, { second }: OptionUse): Chunks {
  const mode = (["all", "any", "only"] as const).find((known) => known === text.toLowerCase());
  if (mode === undefined) throw refuse('Match type has to be one of "ALL", "ANY" or "ONLY"');
  if (second.toUpperCase() === "ALL")
    return { mode, chunks: TYPES.map(([, type]) => ({ type, flags: "" })) };
  if (second.toUpperCase() === "NONE") return { mode, chunks: [] };
  const chunks = second.split(",").map((part) => {
    const [name = "", flags = ""] = part.split(":");
    const type = TYPES.find(([known]) => known === name.toUpperCase())?.[1];
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
    chunks: TYPES.flatMap(([, type]) => chunks.findLast((chunk) => chunk.type === type) ?? []),
  };
}

function formatChunks({ mode, chunks }: Chunks): string {
  if (chunks.length === 0) return `${mode} NONE`;
  if (chunks.length === TYPES.length && chunks.every(({ flags }) => flags === ""))
    return `${mode} ALL`;
  const names = chunks.map(
    ({ type, flags }) =>
      `${TYPES.find(([, number]) => number === type)?.[0] ?? type}${flags === "" ? "" : `:${flags}`}`,
  );
  return `${mode} ${names.join(",")}`;
}
