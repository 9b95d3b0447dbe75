import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { transportOf } from "../packet.js";
import { formatIcmpType, ICMP_TYPES, type IcmpTypeTest, parseIcmpType } from "../icmp-types.js";
import { inRange, not } from "../values.js";

const TYPE = option("icmp-type", (text) => parseIcmpType(text, ICMP_TYPES, "ICMP"), {
  not: true,
  must: true,
});

/** `-m icmp --icmp-type type[/code]`; type 255 is any. */
export const icmp: MatchExtension = defineMatch<{
  readonly value: IcmpTypeTest;
  readonly invert: boolean;
}>({
  name: "icmp",
  family: "ipv4",
  mirrors: "net/ipv4/netfilter/ip_tables.c:icmp_match()",
  fidelity: "exact",
  examples: ["-p icmp|--icmp-type 8", "-p icmp|! --icmp-type 3/4", "-p icmp|--icmp-type any"],
  options: [TYPE],
  only: { protocols: [1] },
  parse: (args) => args.need(TYPE),
  format: ({ value, invert }) =>
    `${not(invert)}--icmp-type ${value.type === 255 ? "any" : formatIcmpType(value)}`,
  matches({ value, invert }, skb) {
    const header = transportOf(skb, "icmp");
    if (typeof header !== "object") return header;
    const same =
      value.type === 255 || (header.type === value.type && inRange(header.code, value.codes));
    return same !== invert;
  },
  why(_, skb) {
    const header = transportOf(skb, "icmp");
    return typeof header === "object"
      ? `packet has type ${header.type}/${header.code}`
      : "packet has no whole ICMP header";
  },
});
