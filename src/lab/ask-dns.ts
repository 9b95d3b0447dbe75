import type { DnsPluginEvent } from "../core/trace.js";
import { Simulation } from "../core/simulation.js";
import { parseCorefile } from "../kube/dns/corefile.js";
import { DnsServer } from "../kube/dns/dns-server.js";
import { formatRecord, newQuery } from "../kube/dns/messages.js";
import { fqdn } from "../kube/dns/names.js";
import { corefileOf, kubernetesView } from "./live-cluster.js";
import type { ClusterWorld } from "./world.js";

/** What a cluster's CoreDNS answers to one question, asked at its own port: no packets, no search list. */
export interface DnsReply {
  /** NOERROR, NXDOMAIN, …; undefined when nothing certain can be said, or no answer comes. */
  readonly rcode: string | undefined;
  /** Records as dig prints them. */
  readonly answers: readonly string[];
  /** Which plugin saw the query and what it did. */
  readonly plugins: readonly DnsPluginEvent[];
  /** What is missing for a certain answer. */
  readonly unknown: string | undefined;
}

/** Asks CoreDNS with the world's Corefile and objects. `name` is taken as it is, without a search list. */
export function askDns(world: ClusterWorld, name: string, type = "A"): DnsReply {
  const plugins: DnsPluginEvent[] = [];
  const sim = new Simulation({ seed: 1, pernet: [] });
  sim.trace = (event) => {
    if (event.kind === "dns-plugin") plugins.push(event);
  };
  const { text, file } = corefileOf(world);
  const server = new DnsServer({
    sim,
    name: "coredns",
    corefile: parseCorefile(text, file),
    files: new Map([["/etc/resolv.conf", ""]]),
    kubernetes: kubernetesView(world.cluster),
  });
  let reply: DnsReply = { rcode: undefined, answers: [], plugins, unknown: undefined };
  const client = { address: "127.0.0.1", port: 40_000, proto: "udp" as const };
  server.ask(newQuery(fqdn(name), type), client, ({ replies, unknown }) => {
    const message = replies[0]?.message;
    reply = {
      rcode: message?.rcode,
      answers: (message?.answers ?? []).map(formatRecord),
      plugins,
      unknown,
    };
  });
  sim.runUntilIdle();
  return reply;
}
