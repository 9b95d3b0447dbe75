import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";

/** `-j TRACE`: the kernel tells every rule the packet meets from here on. */
export const trace: TargetExtension = defineTarget<undefined>({
  name: "TRACE",
  mirrors: "net/netfilter/xt_TRACE.c:trace_tg()",
  fidelity: "exact",
  examples: [""],
  options: [],
  parse: () => undefined,
  format: () => "",
  refuses: (_, { variant, table }) =>
    variant === "legacy" && table !== "raw" ? "Invalid argument" : undefined,
  apply(_, skb) {
    skb.nfTrace = true;
    return CONTINUE;
  },
});
