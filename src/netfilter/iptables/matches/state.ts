import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { ctStateOf } from "../packet.js";
import { readStates } from "../ct-states.js";
import { not } from "../values.js";

const STATES = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"] as const;
const STATE = option("state", (text) => readStates(text, STATES, "state"), {
  not: true,
  must: true,
});

/** `-m state --state …`: the older spelling of `-m conntrack --ctstate`. */
export const state: MatchExtension = defineMatch<{
  readonly value: readonly string[];
  readonly invert: boolean;
}>({
  name: "state",
  mirrors: "net/netfilter/xt_conntrack.c:conntrack_mt()",
  fidelity: "exact",
  examples: ["--state RELATED,ESTABLISHED", "! --state INVALID"],
  options: [STATE],
  tracks: true,
  parse: (args) => args.need(STATE),
  format: ({ value, invert }) => `${not(invert)}--state ${value.join(",")}`,
  isPure: true,
  matches: ({ value, invert }, skb) => value.includes(ctStateOf(skb.ct)) !== invert,
  why: (_, skb) => `packet is ${ctStateOf(skb.ct)}`,
});
