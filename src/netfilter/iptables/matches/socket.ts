import { type MatchExtension, defineMatch } from "../extension.js";
import { flag } from "../options.js";

const FLAGS = ["transparent", "nowildcard", "restore-skmark"].map((name) => flag(name));

/** `-m socket`: whether a socket here would get the packet. */
export const socket: MatchExtension = defineMatch<readonly string[]>({
  name: "socket",
  mirrors: "net/netfilter/xt_socket.c:socket_match()",
  fidelity: "unmodelled",
  examples: ["", "--transparent --nowildcard --restore-skmark"],
  options: FLAGS,
  only: { hooks: ["PREROUTING", "INPUT"] },
  tracks: true,
  parse: (args) => FLAGS.filter((spec) => args.has(spec)).map((spec) => `--${spec.names[0]}`),
  format: (words) => words.join(" "),
});
