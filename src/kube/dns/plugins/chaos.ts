import { questionOf, record, replyTo } from "../messages.js";
import { definePlugin, written, type Plugin } from "../plugin.js";

const coreDnsVersion = "CoreDNS-1.14.7";

/** `chaos [VERSION] [AUTHORS…]`: answers `version.bind` and its like in class CH. */
export const chaos: Plugin = definePlugin({
  name: "chaos",
  setup(c) {
    let version = coreDnsVersion;
    let authors: readonly string[] = ["The CoreDNS authors"];
    let place = c.place();
    while (c.next()) {
      place = c.place();
      const [given, ...names] = c.remainingArgs();
      version = cut(given ?? coreDnsVersion);
      if (names.length > 0) authors = names.map(cut);
      while (c.nextBlock()) throw c.unknownProperty([]);
    }
    return {
      name: "chaos",
      place,
      serve(query, walk, context) {
        const { name, type, class: klass } = questionOf(query);
        if (klass !== "CH" || type !== "TXT") {
          return walk.next(query, { action: "passed", why: "not a TXT query of class CH" });
        }
        const texts = textsFor(name.toLowerCase(), version, authors, context.hostname);
        if (texts === undefined)
          return walk.next(query, { action: "passed", why: "not a name it answers" });
        const answers = texts.map((text) =>
          record(name, "TXT", 0, `"${text.replaceAll(/["\\]/g, "\\$&")}"`, "CH"),
        );
        walk.respond(written(replyTo(query.message, { answers })), {
          action: "answered",
          why: "a name about the server",
        });
      },
    };
  },
});

function textsFor(
  name: string,
  version: string,
  authors: readonly string[],
  hostname: string,
): readonly string[] | undefined {
  switch (name) {
    case "version.bind.":
    case "version.server.":
      return [version];
    case "authors.bind.":
      return authors;
    case "hostname.bind.":
    case "id.server.":
      return [cut(hostname)];
    default:
      return undefined;
  }
}

function cut(text: string): string {
  return text.slice(0, 255);
}
