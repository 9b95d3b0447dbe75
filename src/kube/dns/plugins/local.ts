import type { DnsMessage, DnsRecord } from "../../../wire/dns-message.js";
import { questionOf, record, replyTo } from "../messages.js";
import { longestZone } from "../names.js";
import { definePlugin, written, type Plugin, type Query } from "../plugin.js";

const zones = ["localhost.", "0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa."];
const ttl = 604_800;

/** `local { localhost_prefix on|off }`: answers names that never leave the machine. RFC 6303. */
export const local: Plugin = definePlugin({
  name: "local",
  setup(c) {
    let prefix = true;
    let place = c.place();
    while (c.next()) {
      place = c.place();
      if (c.remainingArgs().length > 0) throw c.argErr();
      while (c.nextBlock()) {
        if (c.val() !== "localhost_prefix") throw c.unknownProperty(["localhost_prefix"]);
        const [value, more] = c.remainingArgs();
        if (value === undefined || more !== undefined || (value !== "on" && value !== "off"))
          throw c.argErr();
        prefix = value === "on";
      }
    }
    return {
      name: "local",
      place,
      serve(query, walk) {
        const lower = questionOf(query).name.toLowerCase();
        if (prefix && lower.startsWith("localhost.") && lower !== "localhost.") {
          return walk.respond(written(loopback(query)), {
            action: "answered",
            why: "the name begins with localhost",
          });
        }
        const zone = longestZone(zones, lower);
        if (zone === undefined)
          return walk.next(query, { action: "passed", why: "not a local name" });
        walk.respond(written(answer(query, zone, lower)), {
          action: "answered",
          why: `its zone ${zone}`,
        });
      },
    };
  },
});

function soa(owner: string): DnsRecord {
  return record(owner, "SOA", ttl, "localhost. root.localhost. 1 0 0 0 604800");
}

/** The addresses of the loopback device under the name that was asked for. */
function loopback(query: Query): DnsMessage {
  const { name, type } = questionOf(query);
  if (type === "A")
    return replyTo(query.message, { answers: [record(name, "A", ttl, "127.0.0.1")] });
  if (type === "AAAA")
    return replyTo(query.message, { answers: [record(name, "AAAA", ttl, "::1")] });
  return replyTo(query.message, { authorities: [soa(name)] });
}

function answer(query: Query, zone: string, lower: string): DnsMessage {
  const { name, type } = questionOf(query);
  if (lower === "1.0.0.127.in-addr.arpa.") {
    if (type === "PTR")
      return replyTo(query.message, { answers: [record(name, "PTR", ttl, "localhost.")] });
    return replyTo(query.message, { authorities: [soa(zone)] });
  }
  if (lower !== zone) {
    if (zone === "localhost.") return loopback(query);
    return replyTo(query.message, { rcode: "NXDOMAIN", authorities: [soa(zone)] });
  }
  if (type === "SOA") return replyTo(query.message, { answers: [soa(zone)] });
  if (type === "NS")
    return replyTo(query.message, { answers: [record(zone, "NS", ttl, "localhost.")] });
  if (zone === "localhost." && (type === "A" || type === "AAAA")) return loopback(query);
  return replyTo(query.message, { authorities: [soa(zone)] });
}
