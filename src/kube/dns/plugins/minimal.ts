import { classify } from "../cache-rules.js";
import { questionOf } from "../messages.js";
import { definePlugin, mapReply, unwritten, isUnwritten, type Plugin } from "../plugin.js";

/** `minimal`: leaves authority and additional records out of answers. */
export const minimal: Plugin = definePlugin({
  name: "minimal",
  setup(c) {
    c.next();
    const place = c.place();
    if (c.nextArg()) throw c.argErr();
    return {
      name: "minimal",
      place,
      serve(query, walk) {
        const { type } = questionOf(query);
        walk.next(query, { action: "passed", why: "shortens what comes back" }, (result) => {
          if (result.replies.length === 0) {
            return walk.respond(
              isUnwritten(result.rcode)
                ? result
                : { ...unwritten("SERVFAIL"), unknown: result.unknown },
            );
          }
          const [reply] = result.replies;
          if (reply === undefined || classify(reply, type) !== "NOERROR")
            return walk.respond(result);
          const count = reply.authorities.length + reply.additionals.length;
          const changed = mapReply(result, (message) => ({
            ...message,
            authorities: [],
            additionals: [],
          }));
          walk.respond(
            changed,
            count === 0 ? undefined : { action: "changed", why: `${count} records left out` },
          );
        });
      },
    };
  },
});
