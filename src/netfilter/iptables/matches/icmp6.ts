import { type MatchExtension, defineMatch } from "../extension.js";
import { formatIcmpType, ICMPV6_TYPES, type IcmpTypeTest, parseIcmpType } from "../icmp-types.js";
import { option } from "../options.js";
import { transportOf } from "../packet.js";
import { formatTest, inRange, type Negatable } from "../values.js";

const TYPE = option("icmpv6-type", (text) => parseIcmpType(text, ICMPV6_TYPES, "ICMPv6"), {
  not: true,
  must: true,
});

/** `-m icmp6 --icmpv6-type type[/code]`. */
export const icmp6: MatchExtension = defineMatch<Negatable<IcmpTypeTest>>({
  name: "icmp6",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6_tables.c:icmp6_match()",
  fidelity: "exact",
  examples: ["-p ipv6-icmp|--icmpv6-type 128", "-p ipv6-icmp|! --icmpv6-type 1/4"],
  options: [TYPE],
  only: { protocols: [58] },
  parse: (args) => args.need(TYPE),
  format: (test) => formatTest("icmpv6-type", test, formatIcmpType).join(" "),
  isPure: true,
  matches({ value, invert }, skb) {
    const header = transportOf(skb, "icmpv6");
    if (typeof header !== "object") return header;
    return (header.type === value.type && inRange(header.code, value.codes)) !== invert;
  },
  why(_, skb) {
    const header = transportOf(skb, "icmpv6");
    return typeof header === "object"
      ? `packet has type ${header.type}/${header.code}`
      : "packet has no whole ICMPv6 header";
  },
});
