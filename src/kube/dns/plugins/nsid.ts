import { mapReply, definePlugin, type Plugin } from "../plugin.js";

const NSID = 3;

/** `nsid [DATA]`: tells which server answered, to those who ask with the NSID option. RFC 5001. */
export const nsid: Plugin = definePlugin({
  name: "nsid",
  setup(c) {
    let data: string | undefined;
    let place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      place = c.place();
      const args = c.remainingArgs();
      if (args.length > 0) data = args.join(" ");
    }
    return {
      name: "nsid",
      place,
      serve(query, walk, context) {
        const wants = query.message.edns?.options.some((option) => option.code === NSID) === true;
        if (!wants)
          return walk.next(query, { action: "passed", why: "the client does not ask for it" });
        const bytes = new TextEncoder().encode(data ?? context.hostname);
        walk.next(
          query,
          { action: "passed", why: "adds its name to what comes back" },
          (result) => {
            const changed = mapReply(result, (reply) => {
              const edns = reply.edns ?? { udpSize: 4096, version: 0, do: true, options: [] };
              const others = edns.options.filter((option) => option.code !== NSID);
              return {
                ...reply,
                edns: { ...edns, options: [...others, { code: NSID, data: bytes }] },
              };
            });
            walk.respond(changed, { action: "changed", why: `NSID ${data ?? context.hostname}` });
          },
        );
      },
    };
  },
});
