import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { portsOf } from "../packet.js";
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

const TYPES = [
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
  fidelity: "simplified",
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
  matches({ source, destination, types, option: dccpOption }, skb) {
    const { network, payload } = skb.frame;
    if (network?.kind === "ipv4" && network.fragmentOffset > 0) return false;
    const ports = portsOf(skb);
    if (ports === undefined || payload.length < 12) return "hotdrop";
    if (source !== undefined && inRange(ports.source, source.value) === source.invert) return false;
    if (
      destination !== undefined &&
      inRange(ports.destination, destination.value) === destination.invert
    )
      return false;
    const type = TYPES[Math.min(((payload[8] ?? 0) >> 1) & 15, 10)] ?? "INVALID";
    if (types !== undefined && types.value.includes(type) === types.invert) return false;
    return dccpOption === undefined ? true : "unknown";
  },
});

function readTypes(text: string): readonly string[] {
  const named = text.split(",").map((word) => {
    const type = TYPES.find((known) => known === word.toUpperCase());
    if (type === undefined) throw refuse(`Unknown DCCP type \`${word}'`);
    return type;
  });
  return TYPES.filter((type) => named.includes(type));
}
