import { type NetworkNamespace, perNamespace } from "../../../core/namespace.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { ipLength } from "../../../wire/frame.js";
import type { IpAddress } from "../../../wire/ip.js";
import { addressBits, andAddress, maskOf } from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import {
  type ByteRate,
  formatByteRate,
  formatBytes,
  formatPacketRate,
  type PacketRate,
  type Rate,
  readBurst,
  readRate,
} from "../hash-rates.js";
import { flag, option, type OptionUse } from "../options.js";
import { ipHeaderOf, portsOf } from "../packet.js";
import { refuse } from "../refusal.js";
import { string, u32, unsigned } from "../values.js";

const MODES = ["srcip", "srcport", "dstip", "dstport"] as const;

interface Hashlimit {
  readonly rate: Rate;
  readonly above: boolean;
  /** Packets, or bytes for a rate of bytes; undefined for none given in byte mode. */
  readonly burst: number | undefined;
  readonly modes: readonly string[];
  readonly name: string;
  readonly size: number;
  readonly max: number;
  readonly gcInterval: number;
  readonly expire: number;
  readonly sourceLength: number;
  readonly destinationLength: number;
  readonly bits: number;
  readonly rateMatch: boolean;
  readonly interval: number;
}

const DEFAULT_GC = 1_000;

const rateOption = (name: string, alias?: string): ReturnType<typeof option<Rate>> =>
  option(name, readRate, {
    not: true,
    excludes: name === "hashlimit-above" ? ["hashlimit-upto"] : ["hashlimit-above"],
    ...(alias === undefined ? {} : { alias }),
  });
const UPTO = rateOption("hashlimit-upto", "hashlimit");
const ABOVE = rateOption("hashlimit-above");
const BURST = option("hashlimit-burst", readBurst);
const SRCMASK = option("hashlimit-srcmask", u32);
const DSTMASK = option("hashlimit-dstmask", u32);
const MODE = option("hashlimit-mode", readModes);
const SIZE = option("hashlimit-htable-size", u32);
const MAX = option("hashlimit-htable-max", u32);
const GC = option("hashlimit-htable-gcinterval", u32);
const EXPIRE = option("hashlimit-htable-expire", u32);
const NAME = option("hashlimit-name", string(1, 255), { must: true });
const RATE_MATCH = flag("hashlimit-rate-match");
const INTERVAL = option("hashlimit-rate-interval", unsigned(1, 0xffff_ffff));

/** `-m hashlimit`: a token bucket for each address, port or combination, in a table by name. */
export const hashlimit: MatchExtension = defineMatch<Hashlimit>({
  name: "hashlimit",
  mirrors: "net/netfilter/xt_hashlimit.c:hashlimit_mt_common()",
  fidelity: "simplified",
  examples: [
    "--hashlimit-upto 5/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name h1",
    "--hashlimit-above 512kb/s --hashlimit-burst 1mb --hashlimit-name h6 --hashlimit-htable-size 1024 --hashlimit-htable-max 4096 --hashlimit-htable-gcinterval 500 --hashlimit-htable-expire 30000",
    "--hashlimit-above 100/hour --hashlimit-burst 5 --hashlimit-mode srcport,dstip --hashlimit-name h3 --hashlimit-srcmask 24",
  ],
  options: [
    UPTO,
    ABOVE,
    SRCMASK,
    DSTMASK,
    BURST,
    SIZE,
    MAX,
    GC,
    EXPIRE,
    NAME,
    MODE,
    RATE_MATCH,
    INTERVAL,
  ],
  check(args) {
    if (!args.has(UPTO) && !args.has(ABOVE)) throw refuse("You have to specify --hashlimit");
  },
  parse(args, { family }) {
    const upto = args.get(UPTO);
    const given = upto ?? args.need(ABOVE);
    const bits = addressBits(family);
    const burst = args.value(BURST);
    return {
      rate: given.value,
      above: (upto === undefined) !== given.invert,
      burst:
        given.value.kind === "packets"
          ? (burst?.amount ?? 5)
          : roundedBurst(given.value, burst?.amount),
      modes: args.value(MODE) ?? [],
      name: args.need(NAME).value,
      size: args.value(SIZE) ?? 0,
      max: args.value(MAX) ?? 0,
      gcInterval: args.value(GC) ?? DEFAULT_GC,
      expire:
        args.value(EXPIRE) ??
        (given.value.kind === "packets" ? given.value.unitSeconds * 1_000 : 1_000),
      sourceLength: args.value(SRCMASK) ?? bits,
      destinationLength: args.value(DSTMASK) ?? bits,
      bits,
      rateMatch: args.has(RATE_MATCH),
      interval: args.value(INTERVAL) ?? 0,
    };
  },
  format(params) {
    const shown =
      params.rate.kind === "bytes"
        ? formatByteRate(params.rate)
        : formatPacketRate(params.rate, params.rateMatch);
    const words = [`--hashlimit-${params.above ? "above" : "upto"} ${shown.text}`];
    if (params.rate.kind === "packets") words.push(`--hashlimit-burst ${params.burst ?? 5}`);
    else if (params.burst !== undefined)
      words.push(`--hashlimit-burst ${formatBytes(params.burst)}`);
    if (params.modes.length > 0) words.push(`--hashlimit-mode ${params.modes.join(",")}`);
    words.push(`--hashlimit-name ${params.name}`);
    if (params.size !== 0) words.push(`--hashlimit-htable-size ${params.size}`);
    if (params.max !== 0) words.push(`--hashlimit-htable-max ${params.max}`);
    if (params.gcInterval !== DEFAULT_GC)
      words.push(`--hashlimit-htable-gcinterval ${params.gcInterval}`);
    if (params.expire !== shown.unitSeconds * 1_000)
      words.push(`--hashlimit-htable-expire ${params.expire}`);
    if (params.sourceLength !== params.bits)
      words.push(`--hashlimit-srcmask ${params.sourceLength}`);
    if (params.destinationLength !== params.bits)
      words.push(`--hashlimit-dstmask ${params.destinationLength}`);
    if (params.rateMatch) words.push("--hashlimit-rate-match");
    if (params.interval !== 0) words.push(`--hashlimit-rate-interval ${params.interval}`);
    return words.join(" ");
  },
  refuses: ({ sourceLength, destinationLength, bits }) =>
    sourceLength > bits || destinationLength > bits ? "Invalid argument" : undefined,
  matches(params, skb, state) {
    if (params.rateMatch) return "unknown";
    const key = keyOf(params, skb);
    if (key === undefined) return "unknown";
    const { now } = state.ns.sim.queue;
    const table = tableOf(state.ns, params);
    return takes(table, key, ipLength(skb.frame), now) !== params.above;
  },
  why: ({ above }) => (above ? "rate is below the limit" : "rate is above the limit"),
});

/** Bursts of bytes are kept as whole seconds of the rate. */
function roundedBurst({ bytesPerSecond }: ByteRate, bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : Math.ceil(bytes / bytesPerSecond) * bytesPerSecond;
}

function readModes(text: string, { owner, option: name }: OptionUse): readonly string[] {
  const named = text.split(",");
  if (named.some((word) => !MODES.some((mode) => mode === word)))
    throw refuse(`${owner}: Bad value for "--${name}" option: "${text}"`);
  return MODES.filter((mode) => named.includes(mode));
}

/** One bucket: credit in packets or bytes. */
interface Bucket {
  credit: number;
  at: number;
  expires: number;
}

/** A table belongs to the first rule of its name in its family. */
interface BucketTable {
  readonly buckets: Map<string, Bucket>;
  readonly perSecond: number;
  readonly capacity: number;
  readonly expire: number;
  readonly byteMode: boolean;
}

const tablesOf: (ns: NetworkNamespace) => Map<string, BucketTable> = perNamespace(() => new Map());

function tableOf(
  ns: NetworkNamespace,
  { name, rate, burst, expire, bits }: Hashlimit,
): BucketTable {
  const tables = tablesOf(ns);
  const key = `${bits} ${name}`;
  const found = tables.get(key);
  if (found !== undefined) return found;
  const perSecond = ratePerSecond(rate);
  const capacity = rate.kind === "packets" ? (burst ?? 5) : Math.max(perSecond, burst ?? 0);
  const table = {
    buckets: new Map<string, Bucket>(),
    perSecond,
    capacity,
    expire: expire * 1_000,
    byteMode: rate.kind === "bytes",
  };
  tables.set(key, table);
  return table;
}

function ratePerSecond(rate: PacketRate | ByteRate): number {
  return rate.kind === "bytes" ? rate.bytesPerSecond : rate.packets / rate.unitSeconds;
}

/** Whether the bucket of `key` has enough for the packet; then it is taken. */
function takes(table: BucketTable, key: string, length: number, now: number): boolean {
  const old = table.buckets.get(key);
  const bucket =
    old === undefined || old.expires <= now
      ? { credit: table.capacity, at: now, expires: now }
      : old;
  bucket.credit = Math.min(
    table.capacity,
    bucket.credit + ((now - bucket.at) * table.perSecond) / 1_000_000,
  );
  bucket.at = now;
  bucket.expires = now + table.expire;
  table.buckets.set(key, bucket);
  const price = table.byteMode ? Math.floor(length / 16) * 16 + 16 : 1;
  if (bucket.credit < price - 1e-9) return false;
  bucket.credit -= price;
  return true;
}

function keyOf(
  { modes, sourceLength, destinationLength }: Hashlimit,
  skb: SkBuff,
): string | undefined {
  const header = ipHeaderOf(skb);
  if (header === undefined) return undefined;
  const ports = portsOf(skb) ?? { source: 0, destination: 0 };
  const masked = (address: IpAddress, length: number): IpAddress =>
    andAddress(address, maskOf(length, header.kind));
  const parts: Readonly<Record<string, number | bigint>> = {
    srcip: masked(header.source, sourceLength),
    srcport: ports.source,
    dstip: masked(header.destination, destinationLength),
    dstport: ports.destination,
  };
  return modes.map((mode) => parts[mode]).join(" ");
}
