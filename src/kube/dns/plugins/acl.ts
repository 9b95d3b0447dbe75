import { netContains, parseCidr, parseIp, type IpNet } from "../address.js";
import type { Controller } from "../controller.js";
import { questionOf, replyTo } from "../messages.js";
import { longestZone } from "../names.js";
import {
  definePlugin,
  dropped,
  unwritten,
  written,
  type Handler,
  type Plugin,
  type Query,
  type Result,
} from "../plugin.js";
import { RR_TYPES } from "../../../wire/dns-rdata.js";

type Action = "allow" | "block" | "filter" | "drop";

interface Policy {
  readonly action: Action;
  /** Undefined is every type. */
  readonly types: ReadonlySet<string> | undefined;
  readonly sources: readonly IpNet[] | undefined;
  readonly text: string;
}

interface Rule {
  readonly zones: readonly string[];
  readonly policies: readonly Policy[];
}

/** `acl [ZONES…] { allow|block|filter|drop [type QTYPE…] [net SOURCE…] }`: who may ask for what. */
export const acl: Plugin = definePlugin({
  name: "acl",
  setup(c) {
    const rules: Rule[] = [];
    let place = c.place();
    while (c.next()) {
      if (rules.length === 0) place = c.place();
      const zones = c.zones(c.remainingArgs());
      const policies: Policy[] = [];
      while (c.nextBlock()) policies.push(policy(c));
      rules.push({ zones, policies });
    }
    return handler(place, rules);
  },
});

const actions: readonly string[] = ["allow", "block", "filter", "drop"];

function policy(c: Controller): Policy {
  const action = c.val().toLowerCase();
  if (!isAction(action)) {
    throw c.err(
      `unexpected token "${c.val()}"; expect 'allow', 'block', 'filter' or 'drop'`,
      actions,
    );
  }
  const words = c.remainingArgs();
  const text = [action, ...words].join(" ");
  let types: Set<string> | undefined;
  let sources: IpNet[] | undefined;
  while (words.length > 0) {
    const section = words.shift()?.toLowerCase() ?? "";
    if (!isSection(section))
      throw c.err(
        `unexpected token "${section === "" ? "" : text.split(" ")[1]}"; expect 'type | net'`,
      );
    const end = words.findIndex((word) => isSection(word.toLowerCase()));
    const tokens = words.splice(0, end < 0 ? words.length : end);
    if (tokens.length === 0) throw c.err(`no token specified in "${section}" section`);
    const all = tokens.indexOf("*");
    if (section === "type")
      types = all < 0 ? new Set(tokens.map((token) => queryType(c, token))) : undefined;
    else sources = all < 0 ? tokens.map((token) => source(c, token)) : undefined;
  }
  return { action, types, sources, text };
}

function isAction(text: string): text is Action {
  return actions.includes(text);
}

function isSection(text: string): boolean {
  return text === "type" || text === "net";
}

function queryType(c: Controller, token: string): string {
  if (!RR_TYPES.has(token)) throw c.err(`unexpected token "${token}"; expect legal QTYPE`);
  return token;
}

function source(c: Controller, token: string): IpNet {
  const text = token.includes("/") ? token : `${token}/${token.includes(":") ? 128 : 32}`;
  const net = parseCidr(text);
  if (net === undefined) throw c.err(`illegal CIDR notation "${text}"`);
  return net;
}

function handler(place: Handler["place"], rules: readonly Rule[]): Handler {
  return {
    name: "acl",
    place,
    serve(query, walk) {
      const decided = decide(rules, query);
      if (decided === undefined || decided.action === "allow") {
        const why = decided === undefined ? "no policy decides" : `allowed by "${decided.text}"`;
        if (!walk.last) return walk.next(query, { action: "passed", why });
        // The real one names the query instead of the plugin in this error.
        return walk.respond(
          unwritten(
            "SERVFAIL",
            `plugin/${questionOf(query).name.toLowerCase()}: no next plugin found`,
          ),
        );
      }
      walk.respond(refusal(query, decided.action), {
        action: `${decided.action}ed`.replace("dropped", "dropped"),
        why: decided.text,
      });
    },
  };
}

function decide(rules: readonly Rule[], query: Query): Policy | undefined {
  const { name, type } = questionOf(query);
  const ip = parseIp(query.client.address.split("%")[0] ?? "");
  for (const rule of rules) {
    if (longestZone(rule.zones, name) === undefined) continue;
    if (ip === undefined)
      return {
        action: "block",
        types: undefined,
        sources: undefined,
        text: "a client without an address",
      };
    const found = rule.policies.find((candidate) => {
      const { types, sources } = candidate;
      return (types?.has(type) ?? true) && (sources?.some((net) => netContains(net, ip)) ?? true);
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** RFC 8914: 15 Blocked, 17 Filtered. */
function refusal(query: Query, action: Exclude<Action, "allow">): Result {
  if (action === "drop") return dropped;
  const data = Uint8Array.of(0, action === "block" ? 15 : 17);
  const edns = { udpSize: 4096, version: 0, do: true, options: [{ code: 15, data }] };
  return written(
    replyTo(query.message, { rcode: action === "block" ? "REFUSED" : "NOERROR", edns }),
  );
}
