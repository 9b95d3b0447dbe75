import type { HookState } from "../../../core/hooks.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { formatBytesPerSecond, readBytesPerSecond } from "../rates.js";
import { flag, option, type OptionArgs, type OptionSpec } from "../options.js";
import { rateEstimators } from "../rate-estimators.js";
import { refuse } from "../refusal.js";
import { string, u32 } from "../values.js";

interface Rateest {
  readonly names: readonly string[];
  readonly words: readonly string[];
  readonly delta: boolean;
  readonly how: "lt" | "gt" | "eq";
  readonly invert: boolean;
  /** What is compared, and the numbers named, by unit. */
  readonly limits: Readonly<Record<Unit, Limits | undefined>>;
}

type Unit = "bytes" | "packets";

interface Limits {
  readonly first: number;
  readonly second: number;
}

const ONE = option("rateest", string(1, 15), { excludes: ["rateest1", "rateest2"] });
const FIRST = option("rateest1", string(1, 15));
const SECOND = option("rateest2", string(1, 15));
const rate = (text: string): number | undefined =>
  text === "" ? undefined : readBytesPerSecond(text);
const BPS = ["rateest-bps", "rateest-bps1", "rateest-bps2"].map((name) =>
  option(name, rate, { maybe: true }),
);
const PPS = ["rateest-pps", "rateest-pps1", "rateest-pps2"].map((name) =>
  option(name, (text, use) => (text === "" ? undefined : u32(text, use)), { maybe: true }),
);
const DELTA = flag("rateest-delta");
const HOW = ["rateest-lt", "rateest-gt", "rateest-eq"].map((name) => flag(name, { not: true }));

/** `-m rateest`: compares the rates of estimators that RATEEST rules feed. */
export const rateest: MatchExtension = defineMatch<Rateest>({
  name: "rateest",
  mirrors: "net/netfilter/xt_rateest.c:xt_rateest_mt()",
  fidelity: "simplified",
  examples: ["--rateest RE1 --rateest-gt --rateest-bps 1000Kbit"],
  options: [ONE, FIRST, SECOND, ...BPS, ...PPS, DELTA, ...HOW],
  check(args) {
    if (!args.has(ONE) && !args.has(FIRST))
      throw refuse("rateest match: Need --rateest or --rateest1 and --rateest2");
    if (!HOW.some((spec) => args.has(spec)))
      throw refuse("rateest match: Need --rateest-lt, --rateest-gt or --rateest-eq");
  },
  parse: (args) => ({
    names: [ONE, FIRST, SECOND].flatMap((spec) => args.value(spec) ?? []),
    words: wordsOf(args),
    delta: args.has(DELTA),
    how: (["lt", "gt", "eq"] as const).find((_, index) => args.has(HOW[index] ?? DELTA)) ?? "eq",
    invert: HOW.some((spec) => args.get(spec)?.invert === true),
    limits: { bytes: limitsOf(BPS, args), packets: limitsOf(PPS, args) },
  }),
  format: ({ words }) => words.join(" "),
  refuses: ({ names }, { environment }) =>
    names.every((name) => environment.estimator?.(name) === true)
      ? undefined
      : "No such file or directory",
  matches: (params, _, state) =>
    (["bytes", "packets"] as const).every((unit) => compares(params, unit, state)) !==
    params.invert,
  why: ({ names }, _, state) =>
    names
      .map((name) => {
        const { bytes, packets } = rateOf(name, state);
        return `${name} has ${bytes} bytes and ${packets} packets a second`;
      })
      .join(", "),
});

/** The numbers that stand with one unit; undefined when it is not compared. */
function limitsOf(
  specs: readonly OptionSpec<number | undefined>[],
  args: OptionArgs,
): Limits | undefined {
  if (!specs.some((spec) => args.has(spec))) return undefined;
  const [both, first, second] = specs.map((spec) => args.value(spec));
  return { first: first ?? 0, second: both ?? second ?? 0 };
}

/** An estimator that no packet came to has seen nothing. */
function rateOf(
  name: string | undefined,
  { ns }: HookState,
): { readonly bytes: number; readonly packets: number } {
  const estimator = rateEstimators(ns).get(name ?? "");
  return estimator?.read(ns.sim.queue.now) ?? { bytes: 0, packets: 0 };
}

/** Mirrors net/netfilter/xt_rateest.c:xt_rateest_mt(). */
function compares({ names, delta, how, limits }: Rateest, unit: Unit, state: HookState): boolean {
  const limit = limits[unit];
  if (limit === undefined) return true;
  const left = (wanted: number, seen: number): number =>
    delta ? Math.max(wanted - seen, 0) : seen;
  const first = left(limit.first, rateOf(names[0], state)[unit]);
  const second =
    names.length < 2 ? limit.second : left(limit.second, rateOf(names[1], state)[unit]);
  return how === "lt" ? first < second : how === "gt" ? first > second : first === second;
}

function wordsOf(args: OptionArgs): readonly string[] {
  const how = HOW.flatMap((spec) => {
    const given = args.get(spec);
    return given === undefined ? [] : [`${given.invert ? "! " : ""}--${spec.names[0]}`];
  });
  const limits = [
    ...BPS.flatMap((spec) => limitOf(spec, args, formatBytesPerSecond)),
    ...PPS.flatMap((spec) => limitOf(spec, args, String)),
  ];
  const delta = args.has(DELTA) ? ["--rateest-delta"] : [];
  const one = args.value(ONE);
  if (one !== undefined) return [`--rateest ${one}`, ...delta, ...how, ...limits];
  return [
    `--rateest1 ${args.value(FIRST) ?? ""}`,
    ...delta,
    ...limits,
    ...how,
    `--rateest2 ${args.value(SECOND) ?? ""}`,
  ];
}

function limitOf(
  spec: OptionSpec<number | undefined>,
  args: OptionArgs,
  format: (value: number) => string,
): readonly string[] {
  if (!args.has(spec)) return [];
  const value = args.value(spec);
  return [`--${spec.names[0]}${value === undefined ? "" : ` ${format(value)}`}`];
}
