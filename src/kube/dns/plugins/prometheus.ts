import { hostPortError } from "../go-values.js";
import { questionOf } from "../messages.js";
import { longestZone } from "../names.js";
import { definePlugin, type Plugin, type Query, type Result } from "../plugin.js";

/** `prometheus [ADDRESS]`: counts queries and replies of the block by zone. The text is `DnsServer.metrics()`. */
export const prometheus: Plugin = definePlugin({
  name: "prometheus",
  setup(c) {
    let place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      place = c.place();
      const [address, more] = c.remainingArgs();
      if (more !== undefined) throw c.argErr();
      const error = address === undefined ? undefined : hostPortError(address);
      if (error !== undefined) throw c.plain(error);
      while (c.nextBlock()) {
        const property = c.val();
        if (property !== "runtime_metrics" && property !== "tls")
          throw c.unknownProperty(["runtime_metrics", "tls"]);
        c.remainingArgs();
      }
    }
    const counters = new Map<string, number>();
    const { zones } = c.config;
    return {
      name: "prometheus",
      place,
      metrics: () => counters,
      serve(query, walk) {
        const zone = longestZone(zones, questionOf(query).name) ?? ".";
        walk.next(query, { action: "passed", why: `counts it for zone ${zone}` }, (result) => {
          for (const series of seriesOf(query, result, zone))
            counters.set(series, (counters.get(series) ?? 0) + 1);
          walk.respond(result);
        });
      },
    };
  },
});

const namedTypes: ReadonlySet<string> = new Set(
  "A AAAA ANY AXFR CNAME DNSKEY DS HTTPS IXFR MX NS NSEC NSEC3 PTR RRSIG SOA SRV SVCB TXT".split(
    " ",
  ),
);

function seriesOf(query: Query, result: Result, zone: string): string[] {
  const { type } = questionOf(query);
  const where = `server="dns://:${query.server.port}",zone="${zone}",view=""`;
  const family = query.client.address.includes(":") ? 2 : 1;
  const shown = namedTypes.has(type) ? type : "other";
  const rcode = result.replies[0]?.rcode ?? result.rcode;
  const requests = `coredns_dns_requests_total{${where},proto="${query.client.proto}",family="${family}",type="${shown}"}`;
  const replies = `coredns_dns_responses_total{${where},rcode="${rcode}"}`;
  return query.message.edns?.do === true
    ? [requests, replies, `coredns_dns_do_requests_total{${where}}`]
    : [requests, replies];
}
