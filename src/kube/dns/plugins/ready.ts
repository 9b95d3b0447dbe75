import { hostPortError } from "../go-values.js";
import { definePlugin, type Plugin } from "../plugin.js";

/** `ready [ADDRESS] { monitor until-ready|continuously }`: an HTTP page that says whether all plugins are ready. Not in the chain. */
export const ready: Plugin = definePlugin({
  name: "ready",
  setup(c) {
    const place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      const [address, more] = c.remainingArgs();
      if (more !== undefined) throw c.argErr();
      const error = address === undefined ? undefined : hostPortError(address);
      if (error !== undefined) throw c.plain(error);
      while (c.nextBlock()) {
        if (c.val() !== "monitor") throw c.unknownProperty(["monitor"]);
        const [type, extra] = c.remainingArgs();
        if (type === undefined || extra !== undefined) throw c.argErr();
        if (type !== "until-ready" && type !== "continuously")
          throw c.err(`monitor type '${type}' not supported`);
      }
    }
    return { name: "ready", place };
  },
});
