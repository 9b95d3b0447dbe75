import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { type BitRanges, formatBitRanges, hasBit, parseBitRanges } from "../bit-ranges.js";
import { type KnobBounds, NumberKnobs } from "../number-knobs.js";

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

const BOUNDS: KnobBounds<Ipv6Knob> = {
  "net.ipv6.auto_flowlabels": [0, 3],
  "net.ipv6.fib_multipath_hash_policy": [0, 3],
  "net.ipv6.fib_multipath_hash_fields": [1, 0xff],
  "net.ipv6.flowlabel_reflect": [0, 7],
  "net.ipv6.icmp.echo_ignore_all": [0, 1],
  "net.ipv6.icmp.echo_ignore_anycast": [0, 1],
  "net.ipv6.icmp.echo_ignore_multicast": [0, 1],
};

/** Types of messages, 0..255, that are limited: errors but "packet too big". Mirrors icmpv6_ratemask's default. */
const DEFAULT_MASK: BitRanges = [
  [0, 1],
  [3, 127],
];

/** The knobs of one namespace that are not per device. */
export class Ipv6Sysctls {
  readonly #numbers: NumberKnobs<Ipv6Knob>;
  #limited: BitRanges = DEFAULT_MASK;

  constructor(ns: NetworkNamespace) {
    this.#numbers = new NumberKnobs(ns, DEFAULTS, BOUNDS);
    ns.sysctls.define("net.ipv6.icmp.ratemask", {
      get: () => formatBitRanges(this.#limited),
      set: (text) => {
        this.#limited = parseBitRanges(text, 255);
      },
    });
  }

  get(name: Ipv6Knob): number {
    return this.#numbers.get(name);
  }

  /** Whether ICMPv6 messages of a type are limited in rate. Mirrors net/ipv6/icmp.c:icmpv6_mask_allow(). */
  isLimited(type: number): boolean {
    return hasBit(this.#limited, type);
  }
}

export const ipv6Sysctls: (ns: NetworkNamespace) => Ipv6Sysctls = perNamespace(
  (ns) => new Ipv6Sysctls(ns),
);
