import { type Lab, usesIpv6 } from "../../src/lab/lab.js";

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

/**
 * Set for every device: neighbours in use are not probed. Those probes come 5 s after the first packet and up to a quarter of a second late,
 * and not at all if TCP heard something in that time. A lab that names the knob keeps its own.
 */
export function probeKnobs(dev: string, lab: Lab): readonly string[] {
  const families = usesIpv6(lab) ? ["ipv4", "ipv6"] : ["ipv4"];
  return lab.commands.some(({ argv }) => argv.some((word) => word.includes(PROBE_TIME)))
    ? []
    : families.map((family) => probeKnob(family, dev));
}

/** Neighbours in use are not probed for a minute. */
export const probeKnob = (family: string, dev: string): string =>
  `net.${family}.neigh.${dev}.${PROBE_TIME}=60`;

const PROBE_TIME = "delay_first_probe_time";
