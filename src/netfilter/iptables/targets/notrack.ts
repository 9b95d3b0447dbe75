import { UNTRACKED } from "../../../core/conntrack.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";

/** `-j NOTRACK`: the packet gets no connection. */
export const notrack: TargetExtension = defineTarget<undefined>({
  name: "NOTRACK",
  mirrors: "net/netfilter/xt_CT.c:notrack_tg()",
  fidelity: "exact",
  examples: [""],
  options: [],
  only: { tables: ["raw"], hooks: ["PREROUTING", "OUTPUT"] },
  parse: () => undefined,
  format: () => "",
  apply(_, skb) {
    if (skb.ct === undefined) skb.ct = UNTRACKED;
    return CONTINUE;
  },
});
