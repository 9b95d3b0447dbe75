import { TCP_CWR, TCP_ECE } from "../../../wire/tcp.js";
import { type MatchExtension, defineMatch, isPositive } from "../extension.js";
import { flag, option } from "../options.js";
import { tosOf, transportOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { formatFlag, formatTest, type Negatable, unsigned } from "../values.js";

interface Ecn {
  readonly ece: { readonly invert: boolean } | undefined;
  readonly cwr: { readonly invert: boolean } | undefined;
  readonly ect: Negatable<number> | undefined;
}

const CWR = flag("ecn-tcp-cwr", { not: true });
const ECE = flag("ecn-tcp-ece", { not: true });
const ECT = option("ecn-ip-ect", unsigned(0, 3), { not: true });

/** `-m ecn`: congestion notification in the IP and TCP headers. */
export const ecn: MatchExtension = defineMatch<Ecn>({
  name: "ecn",
  mirrors: "net/netfilter/xt_ecn.c:ecn_mt4()",
  fidelity: "exact",
  examples: [
    "-p tcp|--ecn-tcp-cwr",
    "--ecn-ip-ect 0",
    "-p tcp|! --ecn-tcp-ece --ecn-tcp-cwr ! --ecn-ip-ect 1",
  ],
  options: [CWR, ECE, ECT],
  check(args) {
    if (args.all.length === 0) throw refuse("ECN match: some option required");
  },
  parse: (args) => ({ ece: args.get(ECE), cwr: args.get(CWR), ect: args.get(ECT) }),
  format: ({ ece, cwr, ect }) =>
    [
      ...formatFlag("ecn-tcp-ece", ece),
      ...formatFlag("ecn-tcp-cwr", cwr),
      ...formatTest("ecn-ip-ect", ect, String),
    ].join(" "),
  refuses: ({ ece, cwr }, { protocol }) =>
    (ece !== undefined || cwr !== undefined) && !isPositive(protocol, 6)
      ? "Invalid argument"
      : undefined,
  matches({ ece, cwr, ect }, skb) {
    if (ect !== undefined && ((tosOf(skb) & 3) === ect.value) === ect.invert) return false;
    if (ece === undefined && cwr === undefined) return true;
    const header = transportOf(skb, "tcp");
    if (typeof header !== "object") return false;
    if (ece !== undefined && ((header.flags & TCP_ECE) !== 0) === ece.invert) return false;
    return cwr === undefined || ((header.flags & TCP_CWR) !== 0) !== cwr.invert;
  },
});
