import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { formatTest, type Negatable, u32 } from "../values.js";

const CPU = option("cpu", u32, { not: true, must: true });

/** `-m cpu`: the processor that handles the packet; here there is one, number 0. */
export const cpu: MatchExtension = defineMatch<Negatable<number>>({
  name: "cpu",
  mirrors: "net/netfilter/xt_cpu.c:cpu_mt()",
  fidelity: "simplified",
  examples: ["--cpu 1", "! --cpu 3"],
  options: [CPU],
  parse: (args) => args.need(CPU),
  format: (test) => formatTest("cpu", test, String).join(" "),
  matches: ({ value, invert }) => (value === 0) !== invert,
  why: () => "packet is handled by cpu 0",
});
