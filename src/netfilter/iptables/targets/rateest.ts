import { ipLength } from "../../../wire/frame.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { formatMicros, readMicros } from "../rates.js";
import { estimatorShape, RateEstimator, rateEstimators } from "../rate-estimators.js";
import { option } from "../options.js";
import { refuse } from "../refusal.js";
import { string } from "../values.js";

interface Estimator {
  readonly name: string;
  /** 0.25 s shifted left by this. */
  readonly interval: number;
  readonly ewma: number;
}

const QUARTER = 250_000;

const NAME = option("rateest-name", string(1, 15), { must: true });
const INTERVAL = option("rateest-interval", (text) => readTime(text, "interval"));
const EWMA = option("rateest-ewmalog", (text) => readTime(text, "ewmalog"));

/** `-j RATEEST`: feeds a rate estimator; the packet goes on. */
export const rateest: TargetExtension = defineTarget<Estimator>({
  name: "RATEEST",
  mirrors: "net/netfilter/xt_RATEEST.c:xt_rateest_tg()",
  fidelity: "simplified",
  examples: ["--rateest-name E1 --rateest-interval 250.0ms --rateest-ewmalog 500.0ms"],
  options: [NAME, INTERVAL, EWMA],
  check(args) {
    if (!args.has(NAME)) return;
    const interval = args.value(INTERVAL);
    const ewma = args.value(EWMA);
    if (ewma === undefined || interval === undefined || ewma <= interval)
      throw refuse("RATEEST: ewmalog value is out of range");
  },
  parse: (args) => ({
    name: args.need(NAME).value,
    interval: args.value(INTERVAL) ?? QUARTER,
    ewma: args.value(EWMA) ?? QUARTER,
  }),
  format: ({ name, interval, ewma }) =>
    `--rateest-name ${name} --rateest-interval ${formatMicros(interval)} --rateest-ewmalog ${formatMicros(ewma)}`,
  apply({ name, interval, ewma }, skb, { ns }) {
    const { now } = ns.sim.queue;
    const known = rateEstimators(ns);
    // Rules of one name feed one estimator, which is as the first of them wants it.
    const estimator = known.get(name) ?? new RateEstimator(estimatorShape(interval, ewma), now);
    known.set(name, estimator);
    estimator.count(ipLength(skb.frame), now);
    return CONTINUE;
  },
});

function readTime(text: string, what: string): number {
  const micros = readMicros(text);
  if (micros === undefined) throw refuse(`RATEEST: bad ${what} value \`${text}'`);
  return micros;
}
