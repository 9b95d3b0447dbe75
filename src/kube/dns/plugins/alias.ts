import type { DnsMessage } from "../../../wire/dns-message.js";
import { definePlugin, mapReply, type Plugin } from "../plugin.js";

/** `alias` (serverwentdown/alias, compiled in before `file`): an apex CNAME of a zone becomes its target's records. */
export const alias: Plugin = definePlugin({
  name: "alias",
  setup(c) {
    c.next();
    const place = c.place();
    return {
      name: "alias",
      place,
      serve(query, walk) {
        walk.next(query, { action: "passed", why: "looks for CNAMEs at the apex" }, (result) => {
          const changed = mapReply(result, flatten);
          const same = changed.replies[0]?.answers === result.replies[0]?.answers;
          walk.respond(
            changed,
            same
              ? undefined
              : { action: "changed", why: "the apex CNAME became its target's records" },
          );
        });
      },
    };
  },
});

function flatten(reply: DnsMessage): DnsMessage {
  const zone = reply.authorities.findLast((record) => record.type === "NS")?.name;
  if (zone === undefined) return reply;
  let current = zone;
  let ttl = Number.MAX_SAFE_INTEGER;
  const rest = reply.answers.filter((record) => {
    if (record.type !== "CNAME" || record.name !== current) return true;
    current = record.data;
    ttl = Math.min(ttl, record.ttl);
    return false;
  });
  if (current === zone) return reply;
  const answers = rest.map((record) =>
    record.name === current ? { ...record, name: zone, ttl: Math.min(record.ttl, ttl) } : record,
  );
  return { ...reply, answers };
}
