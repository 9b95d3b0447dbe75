import type { DnsMessage } from "../../../wire/dns-message.js";
import type { Controller } from "../controller.js";
import { definePlugin, mapReply, type Plugin } from "../plugin.js";

interface Rule {
  readonly response: boolean;
  readonly flag: "aa" | "ra" | "rd";
  readonly value: boolean;
}

/** `header { query|response set|clear FLAG… }`: changes the AA, RA and RD bits. */
export const header: Plugin = definePlugin({
  name: "header",
  setup(c) {
    const rules: Rule[] = [];
    let place = c.place();
    while (c.next()) {
      place = c.place();
      if (c.remainingArgs().length > 0) throw c.argErr();
      let lines = 0;
      while (c.nextBlock()) {
        lines++;
        rules.push(...parseRules(c));
      }
      if (lines === 0) throw c.argErr();
    }
    const responses = rules.filter((rule) => rule.response);
    const queries = rules.filter((rule) => !rule.response);
    return {
      name: "header",
      place,
      serve(query, walk) {
        const changed = { ...query, message: apply(query.message, queries) };
        const note =
          queries.length === 0
            ? { action: "passed", why: "changes what comes back" }
            : told(queries);
        walk.next(changed, note, (result) => {
          const answered = mapReply(result, (reply) => apply(reply, responses));
          const request =
            queries.length === 0 ? result.request : (result.request ?? changed.message);
          walk.respond(
            { ...answered, request },
            responses.length === 0 ? undefined : told(responses),
          );
        });
      },
    };
  },
});

function parseRules(c: Controller): Rule[] {
  const selector = c.val();
  const fail = (text: string): never => {
    throw c.plain(`setting up rule: ${text}`);
  };
  if (selector !== "query" && selector !== "response") {
    fail(`invalid selector=${selector} should be query or response`);
  }
  const [action = "", ...flags] = c.remainingArgs();
  if (flags.length === 0) fail("invalid length for flags, at least one should be provided");
  if (action !== "set" && action !== "clear")
    fail(`unknown flag action=${action}, should be set or clear`);
  return flags.map((flag) => {
    const name = flag.toLowerCase();
    if (name !== "aa" && name !== "ra" && name !== "rd")
      return fail(`unknown/unsupported flag=${flag}`);
    return { response: selector === "response", flag: name, value: action === "set" };
  });
}

function apply(message: DnsMessage, rules: readonly Rule[]): DnsMessage {
  return rules.reduce((current, rule) => ({ ...current, [rule.flag]: rule.value }), message);
}

function told(rules: readonly Rule[]): { readonly action: string; readonly why: string } {
  return {
    action: "changed",
    why: rules.map((rule) => `${rule.value ? "set" : "clear"} ${rule.flag}`).join(", "),
  };
}
