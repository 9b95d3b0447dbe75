import { milliseconds, type Micros } from "../../../sim/time.js";
import type { DnsMessage, DnsRecord } from "../../../wire/dns-message.js";
import type { Controller } from "../controller.js";
import { duration, integer } from "../go-values.js";
import { questionOf, record, replyTo } from "../messages.js";
import { definePlugin, dropped, unwritten, written, type Handler, type Plugin } from "../plugin.js";

interface Settings {
  drop: number;
  truncate: number;
  delay: number;
  wait: Micros;
  large: boolean;
}

/** `erratic { drop [N] truncate [N] delay [N [DURATION]] large }`: answers badly, for tests of clients. */
export const erratic: Plugin = definePlugin({
  name: "erratic",
  setup(c) {
    const settings: Settings = {
      drop: 2,
      truncate: 0,
      delay: 0,
      wait: milliseconds(100),
      large: false,
    };
    let explicit = false;
    let place = c.place();
    while (c.next()) {
      place = c.place();
      while (c.nextBlock()) {
        if (!explicit) settings.drop = 0;
        explicit = true;
        property(c, settings);
      }
    }
    return handler(place, settings);
  },
});

function property(c: Controller, settings: Settings): void {
  const name = c.val();
  const args = c.remainingArgs();
  const amount = (): number => {
    if (args.length > 1 && name !== "delay") throw c.argErr();
    if (args[0] === undefined) return 2;
    const value = integer(c, args[0], "ParseInt");
    if (value < 0) throw c.plain(`illegal amount value given "${args[0]}"`);
    return value;
  };
  switch (name) {
    case "drop":
      settings.drop = amount();
      return;
    case "truncate":
      settings.truncate = amount();
      return;
    case "delay":
      if (args.length > 2) throw c.argErr();
      settings.delay = amount();
      if (args[1] !== undefined) settings.wait = duration(c, args[1]);
      return;
    case "large":
      settings.large = true;
      return;
    default:
      throw c.unknownProperty(["drop", "truncate", "delay", "large"]);
  }
}

function handler(place: Handler["place"], settings: Settings): Handler {
  let number = 0;
  return {
    name: "erratic",
    place,
    autopath: () => ["a.example.org.", "b.example.org.", ""],
    serve(query, walk, context) {
      const count = number++;
      const { drop, truncate, delay, wait } = settings;
      const { type } = questionOf(query);
      const drops = drop > 0 && count % drop === 0;
      const late = delay > 0 && count % delay === 0;
      // The real one tests a bit, not a remainder.
      const tc = truncate > 0 && (count & truncate) === 0;
      const reply = makeReply(query.message, type, settings, tc);
      const finish = (): void => {
        if (drops)
          return walk.respond(dropped, {
            action: "dropped",
            why: `query ${count}, one of ${drop} is dropped`,
          });
        const result = reply === undefined ? unwritten("SERVFAIL") : written(reply);
        walk.respond(result, {
          action: "answered",
          why: `query ${count}${tc ? ", truncated" : ""}${late ? ", delayed" : ""}`,
        });
      };
      if (late && !drops) context.after(wait, "erratic delay", finish);
      else finish();
    },
  };
}

function makeReply(
  request: DnsMessage,
  type: string,
  settings: Settings,
  tc: boolean,
): DnsMessage | undefined {
  const name = request.questions[0]?.name ?? ".";
  const answers = recordsFor(name, type, settings.large);
  return answers === undefined ? undefined : replyTo(request, { aa: true, tc, answers });
}

function recordsFor(name: string, type: string, large: boolean): DnsRecord[] | undefined {
  if (type === "A")
    return Array.from({ length: large ? 30 : 1 }, () => record(name, "A", 0, "192.0.2.53"));
  if (type === "AAAA") return [record(name, "AAAA", 0, "2001:db8::53")];
  if (type !== "AXFR") return undefined;
  const soa = record(
    name,
    "SOA",
    86_400,
    `ns.${name} hostmaster.${name} 20180101 7200 1800 1814400 60`,
  );
  return [
    soa,
    record(name, "NS", 86_400, `ns.${name}`),
    record(`ns.${name}`, "A", 86_400, "192.0.2.53"),
    soa,
  ];
}
