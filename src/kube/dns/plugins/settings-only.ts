import type { Controller } from "../controller.js";
import { parseDuration } from "../go-values.js";
import { parseIp } from "../address.js";
import { definePlugin, type Plugin } from "../plugin.js";

/** `root PATH`: the folder that relative file names of the block are in. */
export const root: Plugin = definePlugin({
  name: "root",
  setup(c) {
    while (c.next()) {
      if (!c.nextArg()) throw c.argErr();
      c.config.root = c.val();
    }
    return undefined;
  },
});

/** `bind ADDRESS|IFACE… { except … }`: the addresses the block listens on. */
export const bind: Plugin = definePlugin({
  name: "bind",
  setup(c) {
    while (c.next()) {
      const args = c.remainingArgs();
      if (args.length === 0) throw c.plain("at least one address or interface name is expected");
      while (c.nextBlock()) {
        if (c.val() !== "except") throw c.plain(`invalid option "${c.val()}"`);
        if (c.remainingArgs().length === 0)
          throw c.plain("at least one address or interface must be given to except subdirective");
      }
      for (const arg of args) c.config.bind.push(address(c, arg));
    }
    return undefined;
  },
});

/** Differs: interface names are taken as they are; the namespace's interfaces are not at hand here. */
function address(c: Controller, text: string): string {
  const bare = text.split("%")[0] ?? "";
  if (parseIp(bare) !== undefined || /^[A-Za-z][\w.-]{0,14}$/.test(text)) return text;
  throw c.plain(`not a valid IP address or interface name: "${text}"`);
}

/** `debug`: more log lines, and a crash instead of SERVFAIL where the real one panics. Changes no answer. */
export const debug: Plugin = definePlugin({
  name: "debug",
  setup(c) {
    while (c.next()) if (c.nextArg()) throw c.argErr();
    return undefined;
  },
});

/** `timeouts { read D  write D  idle D  maxtcpqueries N }`: of connections, not of queries. */
export const timeouts: Plugin = definePlugin({
  name: "timeouts",
  setup(c) {
    while (c.next()) {
      if (c.remainingArgs().length > 0) throw c.argErr();
      let lines = 0;
      while (c.nextBlock()) {
        lines++;
        const name = c.val();
        if (!["read", "write", "idle", "maxtcpqueries"].includes(name))
          throw c.err(`unknown option: '${name}'`);
        const [text, more] = c.remainingArgs();
        if (text === undefined || more !== undefined) throw c.argErr();
        if (name !== "maxtcpqueries") checkTimeout(c, text);
        else if (!/^\d+$/.test(text)) throw c.err(`invalid maxtcpqueries value '${text}'`);
      }
      if (lines === 0) throw c.err("timeouts block with no timeouts specified");
    }
    return undefined;
  },
});

function checkTimeout(c: Controller, text: string): void {
  const value = parseDuration(/^\d+$/.test(text) ? `${text}s` : text);
  if (typeof value !== "number") throw c.err(`failed to parse timeout duration '${text}'`);
  if (value < 1_000_000 || value > 86_400_000_000) {
    throw c.err(`timeout provided '${text}' needs to be between 1 second and 24 hours`);
  }
}

/** `cancel [TIMEOUT]`: gives up on a query after a time. Differs: the plugins below have shorter times of their own. */
export const cancel: Plugin = definePlugin({
  name: "cancel",
  setup(c) {
    const place = c.place();
    while (c.next()) {
      const [text, more] = c.remainingArgs();
      if (more !== undefined) throw c.argErr();
      if (text === undefined) continue;
      const value = parseDuration(text);
      if (typeof value !== "number") throw c.plain(`invalid duration: "${text}"`);
      if (value <= 0) throw c.plain(`invalid negative duration: "${text}"`);
    }
    return {
      name: "cancel",
      place,
      serve(query, walk) {
        walk.next(query, {
          action: "passed",
          why: "would give up later than the plugins below do",
        });
      },
    };
  },
});
