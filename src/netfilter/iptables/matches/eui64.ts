import { interfaceIdOf } from "../../../wire/ip.js";
import { ETH_P_IPV6 } from "../../../wire/ethernet.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { ipv6HeaderOf } from "../packet.js";

/** `-m eui64` of IPv6: whether the source ends in the sender's hardware address. */
export const eui64: MatchExtension = defineMatch<undefined>({
  name: "eui64",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_eui64.c:eui64_mt6()",
  fidelity: "exact",
  examples: [""],
  options: [],
  only: { hooks: ["PREROUTING", "INPUT", "FORWARD"] },
  parse: () => undefined,
  format: () => "",
  isPure: true,
  matches(_, skb) {
    const { link } = skb.frame;
    const header = ipv6HeaderOf(skb);
    return (
      header !== undefined &&
      link.etherType === ETH_P_IPV6 &&
      BigInt.asUintN(64, header.source) === interfaceIdOf(link.source)
    );
  },
  why: () => "the source does not end in the sender's hardware address",
});
