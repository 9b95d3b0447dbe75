import { type MatchExtension, defineMatch } from "../extension.js";
import { option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import { not, u32, unsigned } from "../values.js";

type Statistic =
  | {
      readonly mode: "random";
      readonly invert: boolean;
      /** Of 2^31. */ readonly threshold: number;
    }
  | {
      readonly mode: "nth";
      readonly invert: boolean;
      readonly every: number;
      readonly packet: number;
    };

/** `random`: what was drawn last, of 2^31. `nth`: how many packets are left until the counter wraps. */
interface Memory {
  value: number;
  /** A what-if decided, not chance. */
  forced: boolean;
}

const SCALE = 0x8000_0000;

const MODE = option("mode", readMode, { must: false });
const PROBABILITY = option("probability", readProbability, { not: true });
const EVERY = option("every", unsigned(1, 0xffff_ffff), { not: true, needs: ["packet"] });
const PACKET = option("packet", u32);

/** `-m statistic`: a share of packets by chance, or every n-th that reaches the rule. */
export const statistic: MatchExtension = defineMatch<Statistic, Memory>({
  name: "statistic",
  mirrors: "net/netfilter/xt_statistic.c:statistic_mt()",
  fidelity: "exact",
  examples: [
    "--mode random --probability 0.50000000000",
    "--mode random ! --probability 0.33333333349",
    "--mode nth --every 3 --packet 1",
  ],
  options: [MODE, PROBABILITY, EVERY, PACKET],
  check(args) {
    const nth = args.value(MODE) === "nth";
    if (!nth && !args.has(PROBABILITY))
      throw refuse("--probability must be specified when using random mode");
    if (nth && !args.has(EVERY) && !args.has(PACKET))
      throw refuse("--every and --packet must be specified when using nth mode");
    const every = args.value(EVERY) ?? 1;
    if (nth && args.has(PACKET) && (args.value(PACKET) ?? 0) >= every)
      throw refuse("the --packet p must be 0 <= p <= n-1");
  },
  parse(args) {
    if (args.value(MODE) !== "nth") {
      const { value, invert } = args.need(PROBABILITY);
      return { mode: "random", invert, threshold: value };
    }
    const { value, invert } = args.need(EVERY);
    return { mode: "nth", invert, every: value, packet: args.need(PACKET).value };
  },
  format(params) {
    if (params.mode === "nth")
      return `--mode nth ${not(params.invert)}--every ${params.every} --packet ${params.packet}`;
    return `--mode random ${not(params.invert)}--probability ${(params.threshold / SCALE).toFixed(11)}`;
  },
  remember: (params) => ({
    value: params.mode === "nth" ? params.every - params.packet - 1 : 0,
    forced: false,
  }),
  matches(params, _, { ns: { sim } }, memory) {
    if (params.mode === "random") {
      // Chance goes on as ever, so that what is drawn later is the same whoever decides here.
      memory.value = Math.floor(sim.random() * SCALE);
      const share = params.threshold / SCALE;
      const decided = sim.decide?.(memory, params.invert ? 1 - share : share);
      memory.forced = decided !== undefined;
      return decided ?? memory.value < params.threshold !== params.invert;
    }
    // The counter starts so that packet number `packet` is the first to wrap it.
    const next = memory.value + 1;
    memory.value = next >= params.every ? 0 : next;
    return (memory.value === 0) !== params.invert;
  },
  why(params, _, __, memory) {
    if (params.mode === "nth") return `packet ${memory.value} of every ${params.every}`;
    if (memory.forced) return "random: asked to go the other way";
    const sign = params.invert ? "<" : ">=";
    return `random ${(memory.value / SCALE).toFixed(2)} ${sign} ${(params.threshold / SCALE).toFixed(2)}`;
  },
});

function readMode(text: string): "random" | "nth" {
  if (text !== "random" && text !== "nth") throw refuse(`Bad mode "${text}"`);
  return text;
}

/** A probability as the kernel keeps it. */
function readProbability(text: string, { owner, option: name }: OptionUse): number {
  const value = /^[0-9.eE+-]+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= 1))
    throw refuse(`${owner}: bad value for option "--${name}", or out of range (0-1).\n`);
  return Math.round(value * SCALE);
}
