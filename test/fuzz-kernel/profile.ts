import type { Lab } from "../../src/lab/lab.js";
import { probeKnob, profile, profile6 } from "../kernel/profile.js";

export type LabFamily = "ipv4" | "ipv6";

/** A lab of this fuzzer is about one family. */
export function familyOfLab({ probes, commands }: Lab): LabFamily {
  const six =
    probes.some(({ address }) => typeof address === "bigint") ||
    commands.some(({ argv }) => argv[1] === "-6" || argv[0]?.startsWith("ip6tables") === true);
  return six ? "ipv6" : "ipv4";
}

/** The programs that print a lab's rules, by the commands that put them in. */
export function saversOf({ commands }: Lab): readonly string[] {
  const restored = commands.flatMap(({ argv: [name = ""] }) =>
    name.endsWith("-restore") ? [name.replace("-restore", "-save")] : [],
  );
  return [...new Set(restored)];
}

/** Distance between the starts of two probes, in seconds: timers of whole seconds end well between them. */
export const slot = 0.36;

/** How long a probe's program waits for each answer, in seconds. */
export const limit = 0.3;

/** How many of a lab's commands build it; the others put rules in, when devices have said what they say by themselves. */
export function builtBy({ commands }: Lab): number {
  const rules = commands.findIndex(({ argv }) => argv[0]?.endsWith("-restore") === true);
  return rules < 0 ? commands.length : rules;
}

/** Knobs of both sides for short labs: nothing is retransmitted while a lab runs. */
export const fuzzProfile = (family: LabFamily): readonly string[] => [
  ...profile,
  ...(family === "ipv6"
    ? ["net.bridge.bridge-nf-call-ip6tables=0", ...quick6, ...profile6, ...switched(0)]
    : []),
  "net.ipv4.tcp_rto_min_us=30000000",
  "net.ipv4.tcp_early_retrans=0",
  "net.ipv4.tcp_synack_retries=0",
  "net.ipv4.tcp_pingpong_thresh=255",
  "net.ipv4.tcp_invalid_ratelimit=0",
];

/** The same for every device, once all are made: an unanswered neighbour fails within its probe. */
export const deviceKnobs = (family: LabFamily): readonly string[] => [
  `net.${family}.neigh.DEVICE.mcast_solicit=1`,
  `net.${family}.neigh.DEVICE.retrans_time_ms=120`,
  `net.${family}.neigh.DEVICE.proxy_delay=0`,
  ...(family === "ipv6" ? [probeKnob(family, "DEVICE")] : []),
];

/** Reports of groups are repeated at once. */
const quick6: readonly string[] = ["all", "default"].map(
  (scope) => `net.ipv6.conf.${scope}.mldv2_unsolicited_report_interval=1`,
);

/** `disable_ipv6` for all devices and those to come. */
const switched = (value: 0 | 1): readonly string[] =>
  ["all", "default"].map((scope) => `net.ipv6.conf.${scope}.disable_ipv6=${value}`);

/** Only the real kernel has IPv6 to switch off, and group reports. */
export const realOnlyKnobs = (family: LabFamily): readonly string[] => [
  ...switched(family === "ipv6" ? 0 : 1),
  "net.ipv4.igmp_link_local_mcast_reports=0",
];
