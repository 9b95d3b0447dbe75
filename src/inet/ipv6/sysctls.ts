import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { numberSysctl } from "../../core/sysctls.js";
import { bumpRouting } from "../generation.js";

/** The numeric knobs of `net.ipv6` with the values of a fresh namespace (6.18). */
const DEFAULTS = {
  "net.ipv6.auto_flowlabels": 1,
  "net.ipv6.bindv6only": 0,
  "net.ipv6.fib_multipath_hash_fields": 7,
  "net.ipv6.fib_multipath_hash_policy": 0,
  "net.ipv6.flowlabel_reflect": 0,
  "net.ipv6.fwmark_reflect": 0,
  "net.ipv6.icmp.echo_ignore_all": 0,
  "net.ipv6.icmp.echo_ignore_anycast": 0,
  "net.ipv6.icmp.echo_ignore_multicast": 0,
  "net.ipv6.icmp.ratelimit": 100,
  "net.ipv6.ip6frag_high_thresh": 4_194_304,
  "net.ipv6.ip6frag_time": 60,
  "net.ipv6.ip_nonlocal_bind": 0,
  "net.ipv6.max_dst_opts_number": 8,
  "net.ipv6.max_hbh_opts_number": 8,
  "net.ipv6.route.min_adv_mss": 1220,
  "net.ipv6.route.mtu_expires": 600,
};

export type Ipv6Knob = keyof typeof DEFAULTS;

const BOUNDS: Partial<Record<Ipv6Knob, readonly [low: number, high: number]>> = {
  "net.ipv6.auto_flowlabels": [0, 3],
  "net.ipv6.fib_multipath_hash_policy": [0, 3],
  "net.ipv6.fib_multipath_hash_fields": [1, 0xff],
  "net.ipv6.flowlabel_reflect": [0, 7],
  "net.ipv6.icmp.echo_ignore_all": [0, 1],
  "net.ipv6.icmp.echo_ignore_anycast": [0, 1],
  "net.ipv6.icmp.echo_ignore_multicast": [0, 1],
};

/** Types of messages that are limited: errors but "packet too big". Mirrors icmpv6_ratemask's default. */
const DEFAULT_MASK = parseBitmap("0-1,3-127");

/** The knobs of one namespace that are not per device. */
export class Ipv6Sysctls {
  readonly #values: Record<Ipv6Knob, number> = { ...DEFAULTS };
  #limited: ReadonlySet<number> = DEFAULT_MASK;

  constructor(ns: NetworkNamespace) {
    for (const name of Object.keys(DEFAULTS) as readonly Ipv6Knob[]) {
      const [low, high] = BOUNDS[name] ?? [0, 2_147_483_647];
      const set = (value: number): void => {
        this.#values[name] = value;
        bumpRouting(ns);
      };
      ns.sysctls.define(
        name,
        numberSysctl(() => this.#values[name], set, low, high),
      );
    }
    ns.sysctls.define("net.ipv6.icmp.ratemask", {
      get: () => formatBitmap(this.#limited),
      set: (text) => {
        this.#limited = parseBitmap(text);
      },
    });
  }

  get(name: Ipv6Knob): number {
    return this.#values[name];
  }

  /** Whether ICMPv6 messages of a type are limited in rate. Mirrors net/ipv6/icmp.c:icmpv6_mask_allow(). */
  isLimited(type: number): boolean {
    return this.#limited.has(type);
  }
}

/** Reads `0-1,3-127`: numbers up to 255. */
function parseBitmap(text: string): ReadonlySet<number> {
  const bits = new Set<number>();
  for (const word of text.trim().split(",")) {
    if (word === "") continue;
    const [low = -1, high = low, more] = word
      .split("-")
      .map((part) => (part === "" ? -1 : Number(part)));
    const isRange =
      Number.isInteger(low) && Number.isInteger(high) && 0 <= low && low <= high && high <= 255;
    if (!isRange || more !== undefined) throw new RangeError("Invalid argument");
    for (let bit = low; bit <= high; bit++) bits.add(bit);
  }
  return bits;
}

function formatBitmap(bits: ReadonlySet<number>): string {
  const words: string[] = [];
  for (let bit = 0; bit <= 255; bit++) {
    if (!bits.has(bit)) continue;
    const first = bit;
    while (bits.has(bit + 1)) bit++;
    words.push(first === bit ? String(first) : `${first}-${bit}`);
  }
  return words.join(",");
}

export const ipv6Sysctls: (ns: NetworkNamespace) => Ipv6Sysctls = perNamespace(
  (ns) => new Ipv6Sysctls(ns),
);
