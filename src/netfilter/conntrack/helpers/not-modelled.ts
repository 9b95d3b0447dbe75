import { seconds } from "../../../sim/time.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../../wire/ipv4.js";
import { type Helper, NO_HELP } from "../extensions.js";

/** The kernel's other helpers: a rule may name them, a packet that they would read ends UNKNOWN. */
export const notModelled: readonly Helper[] = (
  [
    ["amanda", [IPPROTO_UDP]],
    ["H.245", [IPPROTO_TCP]],
    ["irc", [IPPROTO_TCP]],
    ["netbios-ns", [IPPROTO_UDP]],
    ["pptp", [IPPROTO_TCP]],
    ["Q.931", [IPPROTO_TCP]],
    ["RAS", [IPPROTO_UDP]],
    ["sane", [IPPROTO_TCP]],
    ["sip", [IPPROTO_TCP, IPPROTO_UDP]],
    ["snmp", [IPPROTO_UDP]],
  ] as const
).map(([name, protocols]) => withoutReader(name, protocols));

/** All of them read data alone: a segment without goes by. */
function withoutReader(name: string, protocols: readonly number[]): Helper {
  return {
    name,
    protocols,
    maxExpected: 1,
    timeout: seconds(300),
    help: ({ skb }) =>
      skb.frame.payload.length === 0
        ? NO_HELP
        : { kind: "unknown", what: `what the conntrack helper ${name} reads in this packet` },
  };
}
