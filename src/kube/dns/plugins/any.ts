import { questionOf, record, replyTo } from "../messages.js";
import { definePlugin, written, type Plugin } from "../plugin.js";

/** `any`: answers queries of type ANY with a HINFO record. RFC 8482. */
export const any: Plugin = definePlugin({
  name: "any",
  setup(c) {
    return {
      name: "any",
      place: c.place(),
      serve(query, walk) {
        const { name, type, class: klass } = questionOf(query);
        if (type !== "ANY")
          return walk.next(query, { action: "passed", why: "not a query for ANY" });
        const answers = [record(name, "HINFO", 8482, '"ANY obsoleted" "See RFC 8482"', klass)];
        walk.respond(written(replyTo(query.message, { answers })), {
          action: "answered",
          why: "ANY is not answered in full",
        });
      },
    };
  },
});
