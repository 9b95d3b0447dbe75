import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import { type BitRanges, formatBitRanges, hasBit, parseBitRanges } from "./bit-ranges.js";
import { type KnobBounds, NumberKnobs } from "./number-knobs.js";

/** The numeric knobs of `net.ipv4` with the values of a fresh namespace (6.18). */
const DEFAULTS = {
  "net.ipv4.ip_default_ttl": 64,
  "net.ipv4.ip_no_pmtu_disc": 0,
  "net.ipv4.ip_forward_use_pmtu": 0,
  "net.ipv4.ip_nonlocal_bind": 0,
  "net.ipv4.ip_unprivileged_port_start": 1024,
  "net.ipv4.ipfrag_time": 30,
  "net.ipv4.ipfrag_high_thresh": 4194304,
  "net.ipv4.icmp_echo_ignore_all": 0,
  "net.ipv4.icmp_echo_ignore_broadcasts": 1,
  "net.ipv4.icmp_errors_use_inbound_ifaddr": 0,
  "net.ipv4.icmp_msgs_per_sec": 1000,
  "net.ipv4.icmp_msgs_burst": 50,
  "net.ipv4.icmp_ratelimit": 1000,
  "net.ipv4.icmp_ratemask": 6168,
  "net.ipv4.igmp_link_local_mcast_reports": 1,
  "net.ipv4.igmp_max_memberships": 20,
  "net.ipv4.igmp_max_msf": 10,
  "net.ipv4.igmp_qrv": 2,
  "net.ipv4.fib_multipath_hash_policy": 0,
  "net.ipv4.fib_multipath_hash_fields": 7,
  "net.ipv4.fib_multipath_hash_seed": 0,
  "net.ipv4.fwmark_reflect": 0,
  "net.ipv4.tcp_fwmark_accept": 0,
  "net.ipv4.route.min_pmtu": 552,
  "net.ipv4.route.mtu_expires": 600,
  "net.ipv4.route.min_adv_mss": 256,
  "net.ipv4.tcp_syn_retries": 6,
  "net.ipv4.tcp_syn_linear_timeouts": 4,
  "net.ipv4.tcp_synack_retries": 5,
  "net.ipv4.tcp_retries1": 3,
  "net.ipv4.tcp_retries2": 15,
  "net.ipv4.tcp_orphan_retries": 0,
  "net.ipv4.tcp_fin_timeout": 60,
  "net.ipv4.tcp_timestamps": 1,
  "net.ipv4.tcp_sack": 1,
  "net.ipv4.tcp_window_scaling": 1,
  "net.ipv4.tcp_abort_on_overflow": 0,
  "net.ipv4.tcp_rto_min_us": 200_000,
  "net.ipv4.tcp_rto_max_ms": 120_000,
  "net.ipv4.tcp_invalid_ratelimit": 500,
  "net.ipv4.tcp_rfc1337": 0,
  "net.ipv4.tcp_tw_reuse": 2,
  "net.ipv4.tcp_pingpong_thresh": 1,
  "net.ipv4.tcp_dsack": 1,
  "net.ipv4.tcp_early_retrans": 3,
  "net.ipv4.tcp_syncookies": 1,
  "net.ipv4.tcp_max_syn_backlog": 2048,
  "net.ipv4.tcp_keepalive_time": 7200,
  "net.ipv4.tcp_keepalive_intvl": 75,
  "net.ipv4.tcp_keepalive_probes": 9,
  "net.core.somaxconn": 4096,
  "net.core.rmem_default": 212_992,
};

export type Ipv4Knob = keyof typeof DEFAULTS;

const BOUNDS: KnobBounds<Ipv4Knob> = {
  "net.ipv4.ip_default_ttl": [1, 255],
  "net.ipv4.ip_no_pmtu_disc": [0, 3],
  "net.ipv4.ip_forward_use_pmtu": [0, 255],
  "net.ipv4.ip_nonlocal_bind": [0, 255],
  "net.ipv4.ip_unprivileged_port_start": [0, 65535],
  "net.ipv4.icmp_echo_ignore_all": [0, 1],
  "net.ipv4.icmp_echo_ignore_broadcasts": [0, 1],
  "net.ipv4.icmp_errors_use_inbound_ifaddr": [0, 1],
  "net.ipv4.igmp_link_local_mcast_reports": [0, 1],
  "net.ipv4.igmp_qrv": [1, 2_147_483_647],
  "net.ipv4.fib_multipath_hash_policy": [0, 3],
  "net.ipv4.fib_multipath_hash_fields": [1, 0xff],
  "net.ipv4.fwmark_reflect": [0, 255],
  "net.ipv4.tcp_fwmark_accept": [0, 255],
  "net.ipv4.route.min_pmtu": [68, 2_147_483_647],
  "net.ipv4.tcp_syn_retries": [1, 127],
  "net.ipv4.tcp_syn_linear_timeouts": [0, 127],
  "net.ipv4.tcp_synack_retries": [0, 255],
  "net.ipv4.tcp_retries1": [0, 255],
  "net.ipv4.tcp_retries2": [0, 255],
  "net.ipv4.tcp_orphan_retries": [0, 255],
  "net.ipv4.tcp_timestamps": [0, 2],
  "net.ipv4.tcp_sack": [0, 1],
  "net.ipv4.tcp_window_scaling": [0, 1],
  "net.ipv4.tcp_abort_on_overflow": [0, 1],
  "net.ipv4.tcp_rto_min_us": [1, 2_147_483_647],
  "net.ipv4.tcp_rto_max_ms": [1000, 120_000],
  "net.ipv4.tcp_rfc1337": [0, 1],
  "net.ipv4.tcp_tw_reuse": [0, 2],
  "net.ipv4.tcp_pingpong_thresh": [1, 255],
  "net.ipv4.tcp_dsack": [0, 255],
  "net.ipv4.tcp_early_retrans": [0, 4],
  "net.ipv4.tcp_syncookies": [0, 255],
  "net.ipv4.tcp_keepalive_probes": [0, 255],
  "net.core.rmem_default": [2304, 2_147_483_647],
};

/** The knobs of one namespace that are not per device. */
export class Ipv4Sysctls {
  readonly #numbers: NumberKnobs<Ipv4Knob>;
  /** `ip_local_port_range`: first and last ephemeral port. */
  localPorts: readonly [number, number] = [32_768, 60_999];
  /** `ip_local_reserved_ports`. */
  reservedPorts: BitRanges = [];

  constructor(ns: NetworkNamespace) {
    this.#numbers = new NumberKnobs(ns, DEFAULTS, BOUNDS);
    this.#definePorts(ns);
  }

  get(name: Ipv4Knob): number {
    return this.#numbers.get(name);
  }

  isReserved(port: number): boolean {
    return hasBit(this.reservedPorts, port);
  }

  #definePorts(ns: NetworkNamespace): void {
    ns.sysctls.define("net.ipv4.ip_local_port_range", {
      get: () => this.localPorts.join("\t"),
      set: (text) => {
        const [low = 0, high = 0, more] = text.trim().split(/\s+/).map(Number);
        if (more !== undefined || !isPort(low) || !isPort(high) || high < low)
          throw new RangeError("Invalid argument");
        this.localPorts = [low, high];
      },
    });
    ns.sysctls.define("net.ipv4.ip_local_reserved_ports", {
      get: () => formatBitRanges(this.reservedPorts),
      set: (text) => {
        this.reservedPorts = parseBitRanges(text, 65_535);
      },
    });
  }
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

export const ipv4Sysctls: (ns: NetworkNamespace) => Ipv4Sysctls = perNamespace(
  (ns) => new Ipv4Sysctls(ns),
);
