import { duration } from "../go-values.js";
import { definePlugin, type Plugin } from "../plugin.js";

/**
 * `reload [INTERVAL] [JITTER]`: looks for a changed Corefile. Not in the chain.
 * Differs: a world's Corefile does not change while it runs, so only the arguments are checked.
 */
export const reload: Plugin = definePlugin({
  name: "reload",
  setup(c) {
    const place = c.place();
    while (c.next()) {
      const args = c.remainingArgs();
      if (args.length > 2) throw c.argErr();
      const [interval, jitter] = args.map((text) => duration(c, text));
      if (interval !== undefined && interval < 2_000_000)
        throw c.plain("interval value must be greater or equal to 2s");
      if (jitter !== undefined && jitter !== 0 && jitter < 1_000_000) {
        throw c.plain("jitter value must be 0 or greater or equal to 1s");
      }
    }
    return { name: "reload", place };
  },
});
