import { IPPROTO_NONE } from "../../../wire/ipv6.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { option } from "../options.js";
import { fragmentOffsetOf, upperPayload } from "../packet.js";
import { refuse } from "../refusal.js";
import { formatRange, inRange, type Negatable, not, type Range } from "../values.js";

const NAMES: readonly (readonly [string, number])[] = [
  ["binding-refresh-request", 0],
  ["brr", 0],
  ["home-test-init", 1],
  ["hoti", 1],
  ["careof-test-init", 2],
  ["coti", 2],
  ["home-test", 3],
  ["hot", 3],
  ["careof-test", 4],
  ["cot", 4],
  ["binding-update", 5],
  ["bu", 5],
  ["binding-acknowledgement", 6],
  ["ba", 6],
  ["binding-error", 7],
  ["be", 7],
];

/** In bytes, without the message. */
const MH_HLEN = 6;

const TYPE = option("mh-type", readTypes, { not: true });

/** `-m mh`: types of mobility headers. */
export const mh: MatchExtension = defineMatch<Negatable<Range> | undefined>({
  name: "mh",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_mh.c:mh_mt6()",
  fidelity: "exact",
  examples: [
    "-p mobility-header|--mh-type 5",
    "-p mobility-header|! --mh-type 1:3",
    "-p mobility-header|",
  ],
  options: [TYPE],
  only: { protocols: [135] },
  parse: (args) => args.get(TYPE),
  format(test) {
    if (test === undefined || (test.value.low === 0 && test.value.high === 255)) return "";
    return `${not(test.invert)}--mh-type ${formatRange(test.value)}`;
  },
  isPure: true,
  matches(test, skb) {
    if (fragmentOffsetOf(skb.frame) > 0) return false;
    const payload = upperPayload(skb.frame)?.payload;
    // Nothing may follow a mobility header.
    if (payload === undefined || payload.length < MH_HLEN || payload[0] !== IPPROTO_NONE)
      return "hotdrop";
    return test === undefined || inRange(payload[2] ?? 0, test.value) !== test.invert;
  },
  why(_, skb) {
    const type = upperPayload(skb.frame)?.payload[2];
    return type === undefined ? "packet has no mobility header" : `packet has type ${type}`;
  },
});

function readTypes(text: string): Range {
  const colon = text.indexOf(":");
  if (colon < 0) {
    const type = readType(text);
    return { low: type, high: type };
  }
  const low = colon === 0 ? 0 : readType(text.slice(0, colon));
  const high = colon === text.length - 1 ? 255 : readType(text.slice(colon + 1));
  if (low > high) throw refuse("Invalid MH type range (min > max)");
  return { low, high };
}

function readType(text: string): number {
  const type =
    NAMES.find(([name]) => name === text.toLowerCase())?.[1] ?? parseNumber(text, 0, 255);
  if (type === undefined) throw refuse(`Invalid MH type \`${text}'`);
  return type;
}
