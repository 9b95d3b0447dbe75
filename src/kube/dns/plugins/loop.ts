import { seconds } from "../../../sim/time.js";
import { questionOf } from "../messages.js";
import { definePlugin, type DnsContext, type Plugin } from "../plugin.js";

/**
 * `loop`: after the start the server asks itself for a random HINFO name; seeing it a third time ends the process.
 * Mirrors plugin/loop.
 */
export const loop: Plugin = definePlugin({
  name: "loop",
  setup(c) {
    const zone = c.config.zones[0] ?? ".";
    let name = "";
    let seen = 0;
    let disabled = false;
    let place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      place = c.place();
      if (c.nextArg()) throw c.argErr();
    }
    return {
      name: "loop",
      place,
      serve(query, walk, context) {
        const { name: asked, type } = questionOf(query);
        const mine = !disabled && type === "HINFO" && asked.toLowerCase() === name;
        if (!mine)
          return walk.next(query, {
            action: "passed",
            why: disabled ? "its test is over" : "not its test name",
          });
        if (++seen > 2) {
          const { address, port } = query.client;
          context.fatal(
            `[FATAL] plugin/loop: Loop (${address}:${port} -> :${query.server.port}) detected for zone "${zone}", ` +
              `see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO ${name}"`,
          );
        }
        walk.next(query, {
          action: "counted",
          why: `its own test name was seen ${seen} times; a third time is a loop`,
        });
      },
      start(context) {
        name = `${number(context)}.${number(context)}.${zone === "." ? "" : zone}`;
        context.after(seconds(2), "loop test over", () => {
          disabled = true;
        });
        context.selfTest(name, "HINFO");
      },
    };
  },
});

function number(context: DnsContext): string {
  return String(Math.floor(context.random() * Number.MAX_SAFE_INTEGER));
}
