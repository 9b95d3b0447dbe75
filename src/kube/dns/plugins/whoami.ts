import { formatIp, parseIp } from "../address.js";
import { questionOf, record, replyTo } from "../messages.js";
import { definePlugin, written, type Plugin } from "../plugin.js";

/** `whoami`: tells the client its own address and port. */
export const whoami: Plugin = definePlugin({
  name: "whoami",
  setup(c) {
    c.next();
    const place = c.place();
    if (c.nextArg()) throw c.argErr();
    return {
      name: "whoami",
      place,
      serve(query, walk) {
        const { name, class: klass } = questionOf(query);
        const { address, port, proto } = query.client;
        const ip = parseIp(address);
        const own = record(
          name,
          ip?.family === 6 ? "AAAA" : "A",
          0,
          ip === undefined ? "0.0.0.0" : formatIp(ip),
          klass,
        );
        const service = record(
          `_${proto}.${name === "." ? "" : name}`,
          "SRV",
          0,
          `0 0 ${port} .`,
          klass,
        );
        const reply = replyTo(query.message, { aa: true, additionals: [own, service] });
        walk.respond(written(reply), {
          action: "answered",
          why: `the client is ${address}:${port}`,
        });
      },
    };
  },
});
