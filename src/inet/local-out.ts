import { drop } from "../core/drop.js";
import type { SendResult } from "../core/errno.js";
import { nfHook } from "../core/hooks.js";
import type { SkBuff } from "../core/skbuff.js";

/** What ip_local_out() and ip6_local_out() share: OUTPUT, then out as the packet's route says. */
export function localOut(skb: SkBuff, family: "ipv4" | "ipv6"): SendResult {
  const state = { hook: "OUTPUT", family, ns: skb.ns, in: undefined, out: skb.route?.dev } as const;
  return nfHook(skb, state, dstOutput);
}

/** A hook may have taken the route away. Mirrors include/net/dst.h:dst_output(). */
function dstOutput(skb: SkBuff): SendResult {
  if (skb.route !== undefined) return skb.route.output(skb);
  const where = skb.frame.network?.kind === "ipv6" ? "ip6_local_out" : "ip_local_out";
  drop(skb, "IP_OUTNOROUTES", where);
  return "ENETUNREACH";
}
