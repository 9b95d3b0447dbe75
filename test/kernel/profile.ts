/**
 * Knobs that both sides get before a lab's own commands: no timestamps in segments, no ICMP rate limit, no redirects,
 * and the defaults that distributions change. A lab's own sysctl commands come later and win.
 */
export const profile: readonly string[] = [
  "net.ipv4.tcp_timestamps=0",
  "net.ipv4.icmp_ratemask=0",
  "net.ipv4.conf.all.rp_filter=0",
  "net.ipv4.conf.default.rp_filter=0",
  "net.ipv4.conf.all.send_redirects=0",
  "net.ipv4.conf.default.send_redirects=0",
  "net.ipv4.igmp_link_local_mcast_reports=0",
  "net.netfilter.nf_conntrack_acct=0",
  "net.bridge.bridge-nf-call-iptables=0",
];

/** The same for labs with IPv6: no detection of duplicates, no solicitation of routers, no flow labels and no ICMP rate limit. */
export const profile6: readonly string[] = [
  "net.ipv6.conf.all.accept_dad=0",
  "net.ipv6.conf.default.accept_dad=0",
  "net.ipv6.conf.all.router_solicitations=0",
  "net.ipv6.conf.default.router_solicitations=0",
  "net.ipv6.auto_flowlabels=0",
  "net.ipv6.icmp.ratelimit=0",
];

/** Set for every device of a lab with IPv6: probes of neighbours in use come by the clock, and are left out. */
export const probeKnob = (dev: string): string => `net.ipv6.neigh.${dev}.delay_first_probe_time=60`;
