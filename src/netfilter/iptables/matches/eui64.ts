import { type MatchExtension, defineMatch } from "../extension.js";

/** `-m eui64` of IPv6: whether the source ends in the sender's hardware address. */
export const eui64: MatchExtension = defineMatch<undefined>({
  name: "eui64",
  family: "ipv6",
  mirrors: "net/ipv6/netfilter/ip6t_eui64.c:eui64_mt6()",
  fidelity: "unmodelled",
  examples: [""],
  options: [],
  only: { hooks: ["PREROUTING", "INPUT", "FORWARD"] },
  parse: () => undefined,
  format: () => "",
});
