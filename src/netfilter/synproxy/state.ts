import type { ConntrackRef } from "../../core/conntrack.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import { conntrackTemplate, DEFAULT_ZONE } from "../conntrack/connection.js";
import { noExtensions } from "../conntrack/extensions.js";

/** The columns of /proc/net/stat/synproxy, in its order. Mirrors struct synproxy_stats. */
const COUNTERS = [
  "syn_received",
  "cookie_invalid",
  "cookie_valid",
  "cookie_retrans",
  "conn_reopened",
] as const;

/** What the proxies of one namespace share. Mirrors struct synproxy_net. */
export interface SynproxyState {
  readonly counters: Record<(typeof COUNTERS)[number], number>;
  /** What the SYN to a server carries, so that its connection is a proxy's from the start. */
  readonly template: ConntrackRef;
  /** Rulesets with a proxy in them, by family. */
  readonly users: Record<"ipv4" | "ipv6", number>;
}

export const synproxyState: (ns: NetworkNamespace) => SynproxyState = perNamespace(() => ({
  counters: {
    syn_received: 0,
    cookie_invalid: 0,
    cookie_valid: 0,
    cookie_retrans: 0,
    conn_reopened: 0,
  },
  template: conntrackTemplate(DEFAULT_ZONE, {
    ...noExtensions(),
    synproxy: { initialSequence: 0, initialTimestamp: 0, timestampOffset: 0 },
  }),
  users: { ipv4: 0, ipv6: 0 },
}));

/** The lines of /proc/net/stat/synproxy, of one processor. Mirrors synproxy_cpu_seq_show(). */
export function formatSynproxyCounters(ns: NetworkNamespace): readonly string[] {
  const { counters } = synproxyState(ns);
  const values = [0, ...COUNTERS.map((name) => counters[name])];
  return [
    `entries\t\t${COUNTERS.join("\t")}`,
    values.map((value) => value.toString(16).padStart(8, "0")).join("\t"),
  ];
}
