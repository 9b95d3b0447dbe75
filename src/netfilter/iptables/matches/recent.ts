import type { IpAddress } from "../../../wire/ip.js";
import { addressBits, formatAddress, maskOf } from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { flag, option } from "../options.js";
import { ipHeaderOf } from "../packet.js";
import { maskedFor, recentTable, type Seen } from "../recent-tables.js";
import { refuse } from "../refusal.js";
import { host, not, string, u32, unsigned } from "../values.js";

const OPERATIONS = ["set", "rcheck", "update", "remove"] as const;

interface Recent {
  readonly operation: (typeof OPERATIONS)[number];
  readonly invert: boolean;
  readonly seconds: number;
  readonly reap: boolean;
  readonly hitcount: number;
  readonly rttl: boolean;
  readonly name: string;
  readonly mask: IpAddress;
  readonly by: "source" | "destination";
}

/** The most addresses of a list, and the most stamps of one without hit counts. */
const MAX_ADDRESSES = 100;
const MAX_STAMPS = 65_536;

const FLAGS = OPERATIONS.map((name) =>
  flag(name, { not: true, excludes: OPERATIONS.filter((other) => other !== name) }),
);
const SECONDS = option("seconds", unsigned(1, 0xffff_ffff));
const REAP = flag("reap", { needs: ["seconds"] });
const HITCOUNT = option("hitcount", u32);
const RTTL = flag("rttl");
const NAME = option("name", string(0, 200));
const RSOURCE = flag("rsource", { many: true });
const RDEST = flag("rdest", { many: true });
const MASK = option("mask", host);

/** `-m recent`: remembers addresses in lists by name. */
export const recent: MatchExtension = defineMatch<Recent>({
  name: "recent",
  mirrors: "net/netfilter/xt_recent.c:recent_mt()",
  fidelity: "exact",
  examples: [
    "--set --name SSH --mask 255.255.255.255 --rsource",
    "! --rcheck --seconds 60 --reap --hitcount 4 --rttl --name R3 --mask 255.255.255.0 --rdest",
    "--remove --name DEFAULT --mask 255.255.255.255 --rsource",
  ],
  options: [...FLAGS, SECONDS, REAP, HITCOUNT, RTTL, NAME, RSOURCE, RDEST, MASK],
  check(args) {
    if (!FLAGS.some((spec) => args.has(spec)))
      throw refuse("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'");
  },
  parse(args, { family }) {
    const given = FLAGS.find((spec) => args.has(spec)) ?? FLAGS[0];
    const operation = OPERATIONS.find((name) => name === given?.names[0]) ?? "set";
    const last = args.all.findLast(({ spec }) => spec === RSOURCE || spec === RDEST);
    return {
      operation,
      invert: given !== undefined && args.get(given)?.invert === true,
      seconds: args.value(SECONDS) ?? 0,
      reap: args.has(REAP),
      hitcount: args.value(HITCOUNT) ?? 0,
      rttl: args.has(RTTL),
      name: args.value(NAME) ?? "DEFAULT",
      mask: args.value(MASK) ?? maskOf(addressBits(family), family),
      by: last?.spec === RDEST ? "destination" : "source",
    };
  },
  format({ operation, invert, seconds, reap, hitcount, rttl, name, mask, by }) {
    const words = [`${not(invert)}--${operation}`];
    if (seconds !== 0) words.push(`--seconds ${seconds}`);
    if (reap) words.push("--reap");
    if (hitcount !== 0) words.push(`--hitcount ${hitcount}`);
    if (rttl) words.push("--rttl");
    words.push(
      `--name ${name}`,
      `--mask ${formatAddress(mask)}`,
      by === "source" ? "--rsource" : "--rdest",
    );
    return words.join(" ");
  },
  refuses({ operation, seconds, hitcount, reap, name }) {
    const timed = seconds !== 0 || hitcount !== 0 || reap;
    if ((operation === "set" || operation === "remove") && timed) return "Invalid argument";
    return hitcount > 65_535 || name === "" || name.includes("/") ? "Invalid argument" : undefined;
  },
  matches(params, skb, state) {
    const header = ipHeaderOf(skb);
    if (header === undefined) return "unknown";
    const table = recentTable(state.ns, params);
    const address = maskedFor(table, header[params.by]);
    // A packet that is forwarded counts its TTL as it was before it was lowered.
    const forwarded = state.out !== undefined && skb.socket === undefined;
    const ttl = (header.kind === "ipv4" ? header.ttl : header.hopLimit) + (forwarded ? 1 : 0);
    return decide(params, table.entries, address, ttl, state.ns.sim.queue.now);
  },
  why: ({ name }) => `address is not in list ${name} like that`,
});

function decide(
  params: Recent,
  list: Map<IpAddress, Seen>,
  address: IpAddress,
  ttl: number,
  now: number,
): boolean {
  const { operation, invert } = params;
  const known = list.get(address);
  const seen = params.rttl && known?.ttl !== ttl ? undefined : known;
  if (operation === "set") {
    touch(list, address, ttl, now);
    return !invert;
  }
  if (seen === undefined) return invert;
  if (operation === "remove") {
    list.delete(address);
    return !invert;
  }
  const since = params.seconds === 0 ? Number.NEGATIVE_INFINITY : now - params.seconds * 1_000_000;
  const hits = seen.stamps.filter((stamp) => stamp >= since).length;
  if (params.reap) seen.stamps = seen.stamps.filter((stamp) => stamp >= since);
  const found = hits >= Math.max(1, params.hitcount);
  if (operation === "update" && found) touch(list, address, ttl, now);
  return found !== invert;
}

/** Adds a stamp and makes the address the youngest; the oldest gives way when the list is full. */
function touch(list: Map<IpAddress, Seen>, address: IpAddress, ttl: number, now: number): void {
  const seen = list.get(address) ?? { ttl, stamps: [] };
  seen.ttl = ttl;
  seen.stamps.push(now);
  if (seen.stamps.length > MAX_STAMPS) seen.stamps.shift();
  list.delete(address);
  list.set(address, seen);
  const [oldest] = list.keys();
  if (list.size > MAX_ADDRESSES && oldest !== undefined) list.delete(oldest);
}
