import type { SkBuff } from "../../../core/skbuff.js";
import { get8 } from "../../../wire/bytes.js";
import { encodeIpPacket } from "../../../wire/frame.js";
import { IPPROTO_NONE, IPV6_HLEN } from "../../../wire/ipv6.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { headerLength } from "../find-header.js";
import { flag, option } from "../options.js";
import { parseProtocol } from "../protocols.js";
import { refuse } from "../refusal.js";
import { not } from "../values.js";

interface Ipv6Headers {
  readonly headers: readonly string[];
  readonly invert: boolean;
  readonly soft: boolean;
}

/** Long names in bit order, with what else names them. */
const HEADERS: readonly (readonly [name: string, ...aliases: string[]])[] = [
  ["hop-by-hop", "hop", "0"],
  ["ipv6-opts", "dst", "60"],
  ["ipv6-route", "route", "43"],
  ["ipv6-frag", "frag", "44"],
  ["ah", "auth", "51"],
  ["esp", "50"],
  ["ipv6-nonxt", "none", "59"],
  ["protocol", "prot", "255"],
];

const IPPROTO_ESP = 50;
const NAMES: ReadonlyMap<number, string> = new Map([
  [0, "hop-by-hop"],
  [60, "ipv6-opts"],
  [43, "ipv6-route"],
  [44, "ipv6-frag"],
  [51, "ah"],
  [IPPROTO_ESP, "esp"],
  [IPPROTO_NONE, "ipv6-nonxt"],
]);

const HEADER = option("header", readHeaders, { not: true, must: true });
const SOFT = flag("soft");

/** `-m ipv6header`: which extension headers there are. */
export const ipv6header: MatchExtension = defineMatch<Ipv6Headers>({
  name: "ipv6header",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_ipv6header.c:ipv6header_mt6()",
  fidelity: "exact",
  examples: ["--header hop-by-hop,ipv6-route", "! --header ah --soft"],
  options: [HEADER, SOFT],
  parse(args) {
    const { value, invert } = args.need(HEADER);
    return { headers: value, invert, soft: args.has(SOFT) };
  },
  format: ({ headers, invert, soft }) =>
    `${not(invert)}--header ${headers.join(",")}${soft ? " --soft" : ""}`,
  isPure: true,
  matches({ headers, invert, soft }, skb) {
    const found = presentIn(skb);
    if (found === undefined) return false;
    if (soft) return headers.every((name) => found.has(name) !== invert);
    const same = found.size === headers.length && headers.every((name) => found.has(name));
    return same !== invert;
  },
  why(_, skb) {
    const found = presentIn(skb);
    return found === undefined
      ? "packet's headers are cut short"
      : `packet has ${HEADERS.flatMap(([name]) => (found.has(name) ? [name] : [])).join(",")}`;
  },
});

/** The names of what the packet has; undefined when a header is cut short. Goes on through a later fragment's bytes. */
function presentIn(skb: SkBuff): ReadonlySet<string> | undefined {
  const packet = encodeIpPacket(skb.frame);
  const found = new Set<string>();
  let type = get8(packet, 6);
  for (let at = IPV6_HLEN; at <= packet.length;) {
    const name = NAMES.get(type);
    if (name === undefined) break;
    if (type !== IPPROTO_NONE && packet.length < at + 2) return undefined;
    found.add(name);
    if (endsHeaders(type)) return found;
    const bytes = packet.subarray(at);
    at += headerLength(type, bytes);
    type = get8(bytes, 0);
  }
  if (!endsHeaders(type)) found.add("protocol");
  return found;
}

function endsHeaders(type: number): boolean {
  return type === IPPROTO_NONE || type === IPPROTO_ESP;
}

function readHeaders(text: string): readonly string[] {
  const named = text.split(",").map((word) => {
    const header = HEADERS.find((names) => names.includes(word.toLowerCase()))?.[0];
    if (header === undefined) throw refuse(`unknown header \`${shown(word)}' specified`);
    return header;
  });
  return HEADERS.map(([name]) => name).filter((name) => named.includes(name));
}

/** The tool tells a protocol it knows by its number. */
function shown(word: string): string {
  try {
    return String(parseProtocol(word));
  } catch {
    return word;
  }
}
