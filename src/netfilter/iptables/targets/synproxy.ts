import { meetClient } from "../../synproxy/client.js";
import type { SynproxyRule } from "../../synproxy/options.js";
import { CONTINUE, type TargetExtension, type TargetResult, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { u16, u32 } from "../values.js";

const SACK = flag("sack-perm");
const TIMESTAMP = flag("timestamp");
const WSCALE = option("wscale", u32);
const MSS = option("mss", u16);
const ECN = flag("ecn");

/** `-j SYNPROXY`: shakes hands in place of the server, which hears only of clients that answer. */
export const synproxy: TargetExtension = defineTarget<SynproxyRule>({
  name: "SYNPROXY",
  mirrors:
    "net/ipv4/netfilter/ipt_SYNPROXY.c:synproxy_tg4(), net/ipv6/netfilter/ip6t_SYNPROXY.c:synproxy_tg6()",
  fidelity: "exact",
  examples: ["-p tcp|--sack-perm --timestamp --wscale 7 --mss 1460 --ecn", "-p tcp|"],
  options: [SACK, TIMESTAMP, WSCALE, MSS, ECN],
  only: { hooks: ["INPUT", "FORWARD"], protocols: [6] },
  tracks: true,
  proxies: true,
  parse: (args) => ({
    mss: args.value(MSS),
    windowScale: byteOf(args.value(WSCALE)),
    sackPermitted: args.has(SACK),
    timestamp: args.has(TIMESTAMP),
    ecn: args.has(ECN),
  }),
  format({ mss, windowScale, sackPermitted, timestamp, ecn }) {
    const words: string[] = [];
    if (sackPermitted) words.push("--sack-perm");
    if (timestamp) words.push("--timestamp");
    if (windowScale !== undefined) words.push(`--wscale ${windowScale}`);
    if (mss !== undefined) words.push(`--mss ${mss}`);
    if (ecn) words.push("--ecn");
    return words.join(" ");
  },
  apply(rule, skb, { ns }): TargetResult {
    switch (meetClient(ns, skb, rule)) {
      case "taken":
        return { kind: "taken", by: "SYNPROXY" };
      case "refused":
        return { kind: "drop", reason: "NETFILTER_DROP", where: "nf_hook_slow" };
      case "not mine":
        return CONTINUE;
    }
  },
});

/** The kernel keeps one byte of it. */
function byteOf(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value & 0xff;
}
