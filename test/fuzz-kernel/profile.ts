import { profile } from "../kernel/profile.js";

/** Distance between the starts of two probes, in seconds: timers of whole seconds end well between them. */
export const slot = 0.36;

/** How long a probe's program waits for each answer, in seconds. */
export const limit = 0.3;

/** Knobs of both sides for short labs: nothing is retransmitted while a lab runs. */
export const fuzzProfile: readonly string[] = [
  ...profile,
  "net.ipv4.tcp_rto_min_us=30000000",
  "net.ipv4.tcp_synack_retries=0",
  "net.ipv4.tcp_pingpong_thresh=255",
  "net.ipv4.tcp_invalid_ratelimit=0",
];

/** The same for every device, once all are made: an unanswered neighbour fails within its probe. */
export const deviceKnobs: readonly string[] = [
  "net.ipv4.neigh.DEVICE.mcast_solicit=1",
  "net.ipv4.neigh.DEVICE.retrans_time_ms=120",
  "net.ipv4.neigh.DEVICE.proxy_delay=0",
];

/** Only the real kernel has IPv6 to switch off, group reports and tail loss probes. */
export const realOnlyKnobs: readonly string[] = [
  "net.ipv6.conf.all.disable_ipv6=1",
  "net.ipv6.conf.default.disable_ipv6=1",
  "net.ipv4.igmp_link_local_mcast_reports=0",
  "net.ipv4.tcp_early_retrans=0",
];
