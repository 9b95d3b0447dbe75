import type { NetworkNamespace } from "../../core/namespace.js";
import { numberSysctl } from "../../core/sysctls.js";
import { conntrackFragments6 } from "../../inet/ipv6/defrag.js";
import { type Micros, seconds } from "../../sim/time.js";

/** Timeouts in seconds by the end of their sysctl's name, `net.netfilter.nf_conntrack_…`. */
const TIMEOUTS = {
  generic_timeout: 600,
  gre_timeout: 30,
  gre_timeout_stream: 180,
  icmp_timeout: 30,
  icmpv6_timeout: 30,
  sctp_timeout_closed: 10,
  sctp_timeout_cookie_echoed: 3,
  sctp_timeout_cookie_wait: 3,
  sctp_timeout_established: 210,
  sctp_timeout_heartbeat_sent: 30,
  sctp_timeout_shutdown_ack_sent: 3,
  sctp_timeout_shutdown_recd: 3,
  sctp_timeout_shutdown_sent: 3,
  tcp_timeout_close: 10,
  tcp_timeout_close_wait: 60,
  tcp_timeout_established: 432_000,
  tcp_timeout_fin_wait: 120,
  tcp_timeout_last_ack: 30,
  tcp_timeout_max_retrans: 300,
  tcp_timeout_syn_recv: 60,
  tcp_timeout_syn_sent: 120,
  tcp_timeout_syn_sent2: 120,
  tcp_timeout_time_wait: 120,
  tcp_timeout_unacknowledged: 300,
  udp_timeout: 30,
  udp_timeout_stream: 120,
} as const;

export type TimeoutName = keyof typeof TIMEOUTS;

export function isTimeoutName(name: string): name is TimeoutName {
  return name in TIMEOUTS;
}

/** Knobs that are 0 or 1. */
const FLAGS = {
  acct: 0,
  checksum: 1,
  tcp_be_liberal: 0,
  tcp_ignore_invalid_rst: 0,
  tcp_loose: 1,
  timestamp: 0,
} as const;

/** Times by name: a namespace's, or those of a timeout policy. */
export type Timeouts = Record<TimeoutName, Micros>;

/** The knobs of one namespace's connection tracking. */
export interface ConntrackSettings {
  readonly timeouts: Timeouts;
  readonly flags: Record<keyof typeof FLAGS, number>;
  tcpMaxRetrans: number;
  /** 0 is no limit. */
  max: number;
  /** Who is told of connections: 0 nobody, 1 everybody, 2 everybody of connections that began since somebody listens. */
  events: number;
  /** Expectations that may be open at once. */
  expectMax: number;
  /** nf_conntrack_ftp's parameter `loose`: FTP may announce addresses of others. */
  ftpLoose: boolean;
  /** The protocol whose invalid packets the kernel's log tells of; nothing that hopwise keeps. */
  logInvalid: number;
}

export function defaultSettings(): ConntrackSettings {
  const timeouts = Object.fromEntries(
    Object.entries(TIMEOUTS).map(([name, value]) => [name, seconds(value)]),
  );
  return {
    timeouts: timeouts as Record<TimeoutName, Micros>,
    flags: { ...FLAGS },
    tcpMaxRetrans: 3,
    max: 262_144,
    events: 2,
    expectMax: 4096,
    ftpLoose: false,
    logInvalid: 0,
  };
}

/**
 * Defines the sysctls. Mirrors net/netfilter/nf_conntrack_standalone.c:nf_ct_sysctl_table.
 * Differs: `nf_conntrack_max` and `nf_conntrack_expect_max` can be set in every namespace; each of ours may be a machine of its own.
 */
export function defineConntrackSysctls(
  ns: NetworkNamespace,
  settings: ConntrackSettings,
  count: () => number,
): void {
  const define = (
    name: string,
    get: () => number,
    set: (value: number) => void,
    high?: number,
  ): void => {
    ns.sysctls.define(`net.netfilter.nf_conntrack_${name}`, numberSysctl(get, set, 0, high));
  };
  for (const key of Object.keys(FLAGS)) {
    const name = key as keyof typeof FLAGS;
    define(
      name,
      () => settings.flags[name],
      (value) => (settings.flags[name] = value),
      1,
    );
  }
  for (const key of Object.keys(TIMEOUTS)) {
    const name = key as TimeoutName;
    // A timeout policy alone can change this one.
    if (name === "tcp_timeout_syn_sent2") continue;
    define(
      name,
      () => settings.timeouts[name] / 1_000_000,
      (value) => (settings.timeouts[name] = seconds(value)),
    );
  }
  define(
    "tcp_max_retrans",
    () => settings.tcpMaxRetrans,
    (value) => (settings.tcpMaxRetrans = value),
    255,
  );
  define(
    "events",
    () => settings.events,
    (value) => (settings.events = value),
    2,
  );
  define(
    "expect_max",
    () => settings.expectMax,
    (value) => (settings.expectMax = value),
  );
  define(
    "log_invalid",
    () => settings.logInvalid,
    (value) => (settings.logInvalid = value),
    255,
  );
  define(
    "max",
    () => settings.max,
    (value) => (settings.max = value),
  );
  const fragments = conntrackFragments6(ns);
  define(
    "frag6_timeout",
    () => fragments.timeout,
    (value) => (fragments.timeout = value),
  );
  define(
    "frag6_high_thresh",
    () => fragments.highThreshold,
    (value) => (fragments.highThreshold = value),
  );
  define(
    "frag6_low_thresh",
    () => fragments.lowThreshold,
    (value) => (fragments.lowThreshold = value),
  );
  ns.sysctls.define(
    "net.nf_conntrack_max",
    numberSysctl(
      () => settings.max,
      (value) => (settings.max = value),
    ),
  );
  ns.sysctls.define("net.netfilter.nf_conntrack_count", readOnly(count));
  ns.sysctls.define(
    "net.netfilter.nf_conntrack_buckets",
    readOnly(() => 262_144),
  );
}

function readOnly(get: () => number): { get(): string; set(value: string): void } {
  return {
    get: () => String(get()),
    set() {
      throw new RangeError("Permission denied");
    },
  };
}
