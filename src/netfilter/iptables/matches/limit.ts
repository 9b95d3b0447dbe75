import type { HookState } from "../../../core/hooks.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { option } from "../options.js";
import { parseNumber } from "../numbers.js";
import { refuse } from "../refusal.js";
import { unsigned } from "../values.js";
import type { Variant } from "../tables.js";

interface Limit {
  /** 1/10000 s for each packet. */
  readonly average: number;
  readonly burst: number;
  readonly variant: Variant;
}

/** What the bucket holds at `at` (µs): credits of xt_limit, or nanoseconds of nft's limit. */
interface Bucket {
  credit: number;
  at: number;
}

/** xt_limit with HZ=250: credits in a jiffy, and in a second. */
const CREDITS_PER_JIFFY = 128;
const MICROS_PER_JIFFY = 4_000;
const CREDITS_PER_SECOND = 32_000;

const UNITS: readonly (readonly [name: string, seconds: number])[] = [
  ["second", 1],
  ["minute", 60],
  ["hour", 3_600],
  ["day", 86_400],
];
/** From the longest, as they are printed. */
const PRINTED: readonly (readonly [name: string, average: number])[] = [
  ["day", 864_000_000],
  ["hour", 36_000_000],
  ["min", 600_000],
  ["sec", 10_000],
];

const RATE = option("limit", readRate);
const BURST = option("limit-burst", unsigned(0, 10_000));

/** `-m limit`: a token bucket for each rule. */
export const limit: MatchExtension = defineMatch<Limit, Bucket>({
  name: "limit",
  mirrors: "net/netfilter/xt_limit.c:limit_mt(), net/netfilter/nft_limit.c:nft_limit_eval()",
  fidelity: "exact",
  examples: ["--limit 3/hour", "--limit 10/min --limit-burst 20", "--limit 1/sec"],
  options: [RATE, BURST],
  parse: (args, { variant }) => ({
    average: args.value(RATE) ?? 12_000_000,
    burst: args.value(BURST) ?? 5,
    variant,
  }),
  format: ({ average, burst, variant }) => {
    const shown = variant === "nft" && burst === 0 ? 5 : burst;
    return `--limit ${formatRate(average)}${shown === 5 ? "" : ` --limit-burst ${shown}`}`;
  },
  refuses({ average, burst }, { variant }) {
    if (variant === "nft") return undefined;
    const overflows =
      burst === 0 || average * burst > 0xffff_ffff || credits(average * burst) < credits(average);
    return overflows ? "Numerical result out of range" : undefined;
  },
  remember: (params) => ({ credit: capacity(params), at: 0 }),
  matches(params, _, state, bucket) {
    refill(params, state, bucket);
    const price = cost(params);
    if (bucket.credit < price) return false;
    bucket.credit -= price;
    return true;
  },
  why(params, _, __, bucket) {
    const wait =
      params.variant === "nft"
        ? (cost(params) - bucket.credit) / 1e9
        : (cost(params) - bucket.credit) / CREDITS_PER_SECOND;
    return `limit is used up for ${wait.toFixed(1)} s`;
  },
});

function refill(params: Limit, state: HookState, bucket: Bucket): void {
  const { now } = state.ns.sim.queue;
  if (params.variant === "nft") {
    bucket.credit = Math.min(capacity(params), bucket.credit + (now - bucket.at) * 1_000);
    bucket.at = now;
    return;
  }
  const jiffies = Math.floor(now / MICROS_PER_JIFFY) - Math.floor(bucket.at / MICROS_PER_JIFFY);
  bucket.credit = Math.min(capacity(params), bucket.credit + jiffies * CREDITS_PER_JIFFY);
  bucket.at = now;
}

function cost({ average, variant }: Limit): number {
  return variant === "nft" ? average * 100_000 : credits(average);
}

function capacity(params: Limit): number {
  const burst = params.variant === "nft" && params.burst === 0 ? 5 : params.burst;
  return params.variant === "nft" ? cost(params) * burst : credits(params.average * burst);
}

/** Mirrors net/netfilter/xt_limit.c:user2credits(). */
function credits(user: number): number {
  if (user > Math.floor(0xffff_ffff / CREDITS_PER_SECOND))
    return (Math.floor(user / 10_000) * CREDITS_PER_SECOND) % 0x1_0000_0000;
  return Math.floor((user * CREDITS_PER_SECOND) / 10_000);
}

/** `N[/unit]` as 1/10000 s for each packet. Mirrors extensions/libxt_limit.c:parse_rate(). */
export function readRate(text: string): number {
  const slash = text.indexOf("/");
  const unit = slash < 0 ? "second" : text.slice(slash + 1);
  const seconds =
    unit === "" ? undefined : UNITS.find(([name]) => name.startsWith(unit.toLowerCase()))?.[1];
  const given = slash < 0 ? text : text.slice(0, slash);
  if (seconds === undefined) throw refuse(`bad rate "${text}"'`);
  if (given.startsWith("-")) throw refuse(`Rate too fast "${text}"`);
  const rate = parseNumber(given, 0, Number.MAX_SAFE_INTEGER);
  if (rate === undefined || rate === 0) throw refuse(`bad rate "${text}"'`);
  // More than one packet in 1/10000 s cannot be kept.
  if (rate / seconds > 10_000) throw refuse(`Rate too fast "${text}"`);
  return Math.floor((10_000 * seconds) / rate);
}

/** The longest unit that shows the rate without losing much of it. Mirrors extensions/libxt_limit.c:print_rate(). */
export function formatRate(average: number): string {
  const fits = ([, unit]: readonly [string, number]): boolean =>
    average <= unit && Math.floor(unit / average) >= unit % average;
  const end = PRINTED.findIndex((candidate, index) => index > 0 && !fits(candidate));
  const [name, unit] = PRINTED.at(end < 0 ? -1 : end - 1) ?? ["day", 864_000_000];
  return `${Math.floor(unit / average)}/${name}`;
}
