import { type Connection, connectionOf } from "../../conntrack/connection.js";
import { TCP_CLOSE, TCP_TIME_WAIT } from "../../conntrack/tcp-states.js";
import {
  addressBits,
  andAddress,
  maskOf,
  parseAddress,
  prefixLength,
  type RuleFamily,
} from "../addresses.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { flag, option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";
import { u32 } from "../values.js";
import type { IpAddress } from "../../../wire/ip.js";

interface Connlimit {
  readonly limit: number;
  readonly above: boolean;
  readonly length: number;
  readonly by: "source" | "destination";
}

/** The live connections seen by the rule, by masked address and zone. */
type Groups = Map<string, Set<Connection>>;

const UPTO = option("connlimit-upto", u32, { not: true, excludes: ["connlimit-above"] });
const ABOVE = option("connlimit-above", u32, { not: true, excludes: ["connlimit-upto"] });
const MASK = option("connlimit-mask", readMask);
const SADDR = flag("connlimit-saddr", { excludes: ["connlimit-daddr"] });
const DADDR = flag("connlimit-daddr", { excludes: ["connlimit-saddr"] });

/** `-m connlimit`: how many connections an address (or network) has now, this one included. */
export const connlimit: MatchExtension = defineMatch<Connlimit, Groups>({
  name: "connlimit",
  mirrors: "net/netfilter/xt_connlimit.c:connlimit_mt(), net/netfilter/nf_conncount.c",
  fidelity: "simplified",
  examples: [
    "--connlimit-above 3 --connlimit-mask 32 --connlimit-saddr",
    "--connlimit-upto 3 --connlimit-mask 24 --connlimit-daddr",
  ],
  options: [UPTO, ABOVE, MASK, SADDR, DADDR],
  tracks: true,
  check(args) {
    if (!args.has(UPTO) && !args.has(ABOVE))
      throw refuse('You must specify "--connlimit-above" or "--connlimit-upto".');
  },
  parse(args, { family }) {
    const upto = args.get(UPTO);
    const given = upto ?? args.need(ABOVE);
    const above = (upto === undefined) !== given.invert;
    return {
      limit: given.value,
      above,
      length: args.value(MASK) ?? addressBits(family),
      by: args.has(DADDR) ? "destination" : "source",
    };
  },
  format: ({ limit, above, length, by }) =>
    `--connlimit-${above ? "above" : "upto"} ${limit} --connlimit-mask ${length} --connlimit-${by === "source" ? "saddr" : "daddr"}`,
  remember: () => new Map(),
  matches(params, skb, state, groups) {
    const connection = connectionOf(skb);
    // The kernel counts the packet's own tuple then, and forgets it by a clock of its own.
    if (connection === undefined) return "unknown";
    const group = groupOf(params, connection, groups);
    group.add(connection);
    for (const other of group)
      if (!isAlive(other, state.ns.sim.queue.now) && other !== connection) group.delete(other);
    return group.size > params.limit === params.above;
  },
  why(params, skb, _, groups) {
    const connection = connectionOf(skb);
    return connection === undefined
      ? "packet has no connection"
      : `${groupOf(params, connection, groups).size} connections`;
  },
});

function groupOf(
  { length, by }: Connlimit,
  connection: Connection,
  groups: Groups,
): Set<Connection> {
  const address: IpAddress = connection.original[by];
  const family: RuleFamily = typeof address === "bigint" ? "ipv6" : "ipv4";
  const key = `${andAddress(address, maskOf(length, family))} ${connection.zone}`;
  const group = groups.get(key) ?? new Set<Connection>();
  groups.set(key, group);
  return group;
}

/** Closed TCP connections no longer count. Mirrors nf_conncount.c:already_closed(). */
function isAlive(connection: Connection, now: number): boolean {
  const state = connection.tcp?.state;
  if (connection.dying || state === TCP_TIME_WAIT || state === TCP_CLOSE) return false;
  return !connection.confirmed || connection.expires > now;
}

function readMask(text: string, { owner, option: name, context }: OptionUse): number {
  const bits = addressBits(context.family);
  const length = parseNumber(text, 0, bits);
  if (length !== undefined) return length;
  const mask = parseAddress(text, context.family);
  const prefix = mask === undefined ? undefined : prefixLength(mask);
  // A number too large reads as an address without dots, whose mask is taken for a whole one.
  if (prefix !== undefined) return prefix;
  if (context.family === "ipv4" && parseNumber(text, 0, 0xff) !== undefined) return bits;
  throw refuse(
    `${owner}: bad value for option "--${name}", neither a valid network mask nor valid CIDR (0-${bits}).\n`,
  );
}
