import type { IpAddress } from "../../../wire/ip.js";
import { formatAddress, parseAddress } from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option, type OptionUse } from "../options.js";
import { ipHeaderOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { formatTest, type Negatable } from "../values.js";

interface Span {
  readonly low: IpAddress;
  readonly high: IpAddress;
}

interface IpRange {
  readonly source: Negatable<Span> | undefined;
  readonly destination: Negatable<Span> | undefined;
}

const SRC = option("src-range", readSpan, { not: true });
const DST = option("dst-range", readSpan, { not: true });

/** `-m iprange`: addresses from one to another. */
export const iprange: MatchExtension = defineMatch<IpRange>({
  name: "iprange",
  mirrors: "net/netfilter/xt_iprange.c:iprange_mt4(), iprange_mt6()",
  fidelity: "exact",
  examples: [
    "--src-range 10.0.0.5-10.0.0.9",
    "! --src-range 10.0.0.5-10.0.0.5 ! --dst-range 1.1.1.1-2.2.2.2",
  ],
  options: [SRC, DST],
  check(args) {
    if (args.all.length === 0)
      throw refuse("iprange match: You must specify `--src-range' or `--dst-range'");
  },
  parse: (args) => ({ source: args.get(SRC), destination: args.get(DST) }),
  format: ({ source, destination }) =>
    [
      ...formatTest("src-range", source, formatSpan),
      ...formatTest("dst-range", destination, formatSpan),
    ].join(" "),
  isPure: true,
  matches({ source, destination }, skb) {
    const header = ipHeaderOf(skb);
    if (header === undefined) return "unknown";
    if (source !== undefined && isWithin(header.source, source.value) === source.invert)
      return false;
    return (
      destination === undefined ||
      isWithin(header.destination, destination.value) !== destination.invert
    );
  },
  why({ source }, skb) {
    const header = ipHeaderOf(skb);
    if (header === undefined) return "";
    const bySource =
      source !== undefined && isWithin(header.source, source.value) === source.invert;
    return bySource
      ? `packet comes from ${formatAddress(header.source)}`
      : `packet goes to ${formatAddress(header.destination)}`;
  },
});

function isWithin(address: IpAddress, { low, high }: Span): boolean {
  return address >= low && address <= high;
}

function readSpan(text: string, { owner, option: name, context }: OptionUse): Span {
  const dash = text.indexOf("-");
  const read = (part: string): IpAddress => {
    const address = parseAddress(part, context.family);
    if (address === undefined || part === "")
      throw refuse(`${owner}: Bad value for "--${name}" option: "${part}"`);
    return address;
  };
  const low = read(dash < 0 ? text : text.slice(0, dash));
  const high = dash < 0 ? low : read(text.slice(dash + 1));
  if (high < low)
    context.warn(`xt_iprange: range ${formatSpan({ low, high })} is reversed and will never match`);
  return { low, high };
}

function formatSpan({ low, high }: Span): string {
  return `${formatAddress(low)}-${formatAddress(high)}`;
}
