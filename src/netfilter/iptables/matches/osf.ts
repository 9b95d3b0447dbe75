import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { formatTest, string, unsigned } from "../values.js";

const GENRE = option("genre", string(1, 31), { not: true, must: true });
const TTL = option("ttl", unsigned(0, 2));
const LOG = option("log", unsigned(0, 2));

/** `-m osf`: the sender's operating system by its SYN; no fingerprints are loaded here, so none fits. */
export const osf: MatchExtension = defineMatch<readonly string[]>({
  name: "osf",
  family: "ipv4",
  mirrors: "net/netfilter/xt_osf.c:xt_osf_match_packet()",
  fidelity: "simplified",
  examples: ["-p tcp|--genre Linux", "-p tcp|! --genre Windows --ttl 1 --log 2"],
  options: [GENRE, TTL, LOG],
  only: { protocols: [6], hooks: ["PREROUTING", "INPUT", "FORWARD"] },
  parse: (args) => [
    ...formatTest("genre", args.get(GENRE), (name) => name),
    ...formatTest("ttl", args.get(TTL), String),
    ...formatTest("log", args.get(LOG), String),
  ],
  format: (words) => words.join(" "),
  isPure: true,
  matches: () => false,
  why: () => "no fingerprints are loaded",
});
