import { type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { u16, u32 } from "../values.js";

const SACK = flag("sack-perm");
const TIMESTAMP = flag("timestamp");
const WSCALE = option("wscale", u32);
const MSS = option("mss", u16);

/** `-j SYNPROXY`: shakes hands in place of the server. */
export const synproxy: TargetExtension = defineTarget<readonly string[]>({
  name: "SYNPROXY",
  mirrors: "net/ipv4/netfilter/ipt_SYNPROXY.c:synproxy_tg4()",
  fidelity: "unmodelled",
  examples: ["-p tcp|--sack-perm --timestamp --wscale 7 --mss 1460", "-p tcp|"],
  options: [SACK, TIMESTAMP, WSCALE, MSS],
  only: { hooks: ["INPUT", "FORWARD"], protocols: [6] },
  tracks: true,
  parse: (args) => [
    ...(args.has(SACK) ? ["--sack-perm"] : []),
    ...(args.has(TIMESTAMP) ? ["--timestamp"] : []),
    ...(args.has(WSCALE) ? [`--wscale ${args.value(WSCALE)}`] : []),
    ...(args.has(MSS) ? [`--mss ${args.value(MSS)}`] : []),
  ],
  format: (words) => words.join(" "),
});
