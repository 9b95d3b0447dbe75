import { hostPortError, parseDuration } from "../go-values.js";
import { definePlugin, type Plugin } from "../plugin.js";

/** `health [ADDRESS] { lameduck DURATION }`: an HTTP page that says the process runs. Not in the chain. */
export const health: Plugin = definePlugin({
  name: "health",
  setup(c) {
    const place = c.place();
    while (c.next()) {
      const [address, more] = c.remainingArgs();
      if (more !== undefined) throw c.argErr();
      const error = address === undefined ? undefined : hostPortError(address);
      if (error !== undefined) throw c.plain(error);
      while (c.nextBlock()) {
        if (c.val() !== "lameduck") throw c.unknownProperty(["lameduck"]);
        const [text, extra] = c.remainingArgs();
        if (text === undefined || extra !== undefined) throw c.argErr();
        const value = parseDuration(text);
        if (typeof value !== "number") {
          throw c.plain(`unable to parse lameduck duration value: '${text}' : ${value.error}`);
        }
      }
    }
    return { name: "health", place };
  },
});
