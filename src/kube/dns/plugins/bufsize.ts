import { pluginError } from "../controller.js";
import { parseInteger } from "../go-values.js";
import { definePlugin, type Plugin, type Query } from "../plugin.js";

/** `bufsize [SIZE]`: lowers the size that clients advertise, so that replies are not fragmented. */
export const bufsize: Plugin = definePlugin({
  name: "bufsize",
  setup(c) {
    let size = 1232;
    let place = c.place();
    while (c.next()) {
      place = c.place();
      const [text, more] = c.remainingArgs();
      const value = text === undefined ? 1232 : parseInteger(text);
      // The real one puts the plugin's name before the error twice.
      if (more !== undefined || value === undefined || value < 512 || value > 4096)
        throw pluginError("bufsize", c.argErr());
      size = value;
    }
    return {
      name: "bufsize",
      place,
      serve(query, walk) {
        const { edns } = query.message;
        if (edns === undefined || edns.udpSize <= size) {
          return walk.next(query, { action: "passed", why: "the client's size is small enough" });
        }
        const changed: Query = {
          ...query,
          message: { ...query.message, edns: { ...edns, udpSize: size } },
        };
        walk.next(
          changed,
          { action: "changed", why: `size ${edns.udpSize} lowered to ${size}` },
          (result) => {
            walk.respond({ ...result, request: result.request ?? changed.message });
          },
        );
      },
    };
  },
});
