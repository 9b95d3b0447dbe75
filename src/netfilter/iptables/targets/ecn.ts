import { TCP_CWR, TCP_ECE } from "../../../wire/tcp.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { flag } from "../options.js";
import { refuse } from "../refusal.js";
import { withTcp } from "../rewrite.js";

const REMOVE = flag("ecn-tcp-remove");

/** `-j ECN --ecn-tcp-remove`: clears ECE and CWR. */
export const ecn: TargetExtension = defineTarget<undefined>({
  name: "ECN",
  family: "ipv4",
  mirrors: "net/ipv4/netfilter/ipt_ECN.c:ecn_tg()",
  fidelity: "exact",
  examples: ["-p tcp|--ecn-tcp-remove"],
  options: [REMOVE],
  only: { tables: ["mangle"], protocols: [6] },
  check(args) {
    if (args.all.length === 0) throw refuse("ECN target: An operation is required");
  },
  parse: () => undefined,
  format: () => "--ecn-tcp-remove",
  apply(_, skb) {
    skb.frame = withTcp(skb.frame, (header) => ({
      ...header,
      flags: header.flags & ~(TCP_ECE | TCP_CWR),
    }));
    return CONTINUE;
  },
});
