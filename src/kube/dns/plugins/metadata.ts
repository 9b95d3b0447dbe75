import { definePlugin, type Plugin } from "../plugin.js";

/** `metadata [ZONES…]`: collects labels of a query from the other plugins, before the chain is walked. */
export const metadata: Plugin = definePlugin({
  name: "metadata",
  setup(c) {
    c.next();
    const place = c.place();
    c.zones(c.remainingArgs());
    if (c.nextBlock()) throw c.argErr();
    if (c.next()) throw c.argErr();
    return {
      name: "metadata",
      place,
      serve(query, walk) {
        const why = `collected ${query.metadata?.size ?? 0} labels`;
        walk.next(query, { action: "passed", why });
      },
    };
  },
});
