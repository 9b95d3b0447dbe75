import { type MatchExtension, defineMatch } from "../extension.js";
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

const HEADER = option("header", readHeaders, { not: true, must: true });
const SOFT = flag("soft");

/** `-m ipv6header`: which extension headers there are. */
export const ipv6header: MatchExtension = defineMatch<Ipv6Headers>({
  name: "ipv6header",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_ipv6header.c:ipv6header_mt6()",
  fidelity: "unmodelled",
  examples: ["--header hop-by-hop,ipv6-route", "! --header ah --soft"],
  options: [HEADER, SOFT],
  parse(args) {
    const { value, invert } = args.need(HEADER);
    return { headers: value, invert, soft: args.has(SOFT) };
  },
  format: ({ headers, invert, soft }) =>
    `${not(invert)}--header ${headers.join(",")}${soft ? " --soft" : ""}`,
});

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
