import type { DnsMessage } from "../../../wire/dns-message.js";
import { canonicalIp, parseIp } from "../address.js";
import { pluginError, type Controller } from "../controller.js";
import { questionOf, replyTo } from "../messages.js";
import { longestZone } from "../names.js";
import {
  definePlugin,
  unwritten,
  written,
  type DnsContext,
  type Handler,
  type Plugin,
  type Query,
  type Walk,
} from "../plugin.js";

interface Rule {
  readonly zones: readonly string[];
  /** Addresses, or `*`. */
  readonly to: readonly string[];
}

/** `transfer [ZONE…] { to ADDRESS|*…  source IP }`: AXFR and IXFR of the zones that other plugins have. RFC 5936. */
export const transfer: Plugin = definePlugin({
  name: "transfer",
  setup(c) {
    const rules: Rule[] = [];
    let place = c.place();
    while (c.next()) {
      if (rules.length === 0) place = c.place();
      rules.push(directive(c));
    }
    const { handlers } = c.config;
    return {
      name: "transfer",
      place,
      serve: (query, walk, context) => serve(query, walk, context, rules, handlers),
    };
  },
});

// The real one puts the plugin's name before these errors twice.
function doubled(error: unknown): unknown {
  return pluginError("transfer", error);
}

function directive(c: Controller): Rule {
  const zones = c.zones(c.remainingArgs());
  const to: string[] = [];
  let source: string | undefined;
  while (c.nextBlock()) {
    const property = c.val();
    const args = c.remainingArgs();
    if (property === "to") {
      if (args.length === 0) throw doubled(c.argErr());
      to.push(...args.map((arg) => destination(c, arg)));
    } else if (property === "source") {
      if (args[0] === undefined || args[1] !== undefined) throw doubled(c.argErr());
      if (source !== undefined) throw doubled(c.err("source already specified"));
      source = args[0];
      if (parseIp(source) === undefined) throw doubled(c.err(`invalid source address "${source}"`));
    } else {
      throw doubled(c.err(`unknown property "${property}"`, ["to", "source"]));
    }
  }
  if (to.length === 0) throw doubled(c.err("'to' is required"));
  return { zones, to };
}

function destination(c: Controller, text: string): string {
  if (text === "*") return text;
  const match = /^\[([^\]]+)\](?::\d+)?$/.exec(text) ?? /^([^:]+):\d+$/.exec(text);
  const ip = canonicalIp((match?.[1] ?? text).split("%")[0] ?? "");
  if (ip === undefined) throw c.plain(`must specify an IP address: \`${text}'`);
  return ip;
}

function serve(
  query: Query,
  walk: Walk,
  context: DnsContext,
  rules: readonly Rule[],
  handlers: readonly Handler[],
): void {
  const { name, type } = questionOf(query);
  if (type !== "AXFR" && type !== "IXFR")
    return walk.next(query, { action: "passed", why: "not a transfer" });
  if (query.client.proto === "udp") {
    return walk.respond(unwritten("REFUSED"), { action: "refused", why: "transfers need TCP" });
  }
  const lower = name.toLowerCase();
  const rule =
    rules.find((candidate) => candidate.zones.some((zone) => zone === lower)) ??
    covering(rules, lower);
  if (rule === undefined)
    return walk.next(query, { action: "passed", why: "no rule for the zone" });
  if (!rule.to.includes("*") && !rule.to.includes(canonicalIp(query.client.address) ?? "")) {
    const refused = written(replyTo(query.message, { rcode: "REFUSED" }));
    return walk.respond(refused, {
      action: "refused",
      why: `${query.client.address} is not among those it transfers to`,
    });
  }
  for (const handler of handlers) {
    const found = handler.transfer?.(lower, query, context);
    if (found === undefined) continue;
    return send(query, walk, handler.name, found.records, found.serial);
  }
  walk.next(query, { action: "passed", why: "no plugin has the zone" });
}

function covering(rules: readonly Rule[], name: string): Rule | undefined {
  const zone = longestZone(
    rules.flatMap((rule) => rule.zones),
    name,
  );
  return zone === undefined ? undefined : rules.find((rule) => rule.zones.includes(zone));
}

function send(
  query: Query,
  walk: Walk,
  plugin: string,
  records: DnsMessage["answers"],
  serial: number,
): void {
  const { type } = questionOf(query);
  const [soa] = records;
  if (type === "IXFR") {
    const known = query.message.authorities.find((record) => record.type === "SOA");
    if (known === undefined)
      return walk.respond(unwritten("SERVFAIL"), {
        action: "failed",
        why: "IXFR without a SOA record",
      });
    if (Number(known.data.split(" ")[2]) === serial && soa !== undefined) {
      const reply = replyTo(query.message, { answers: [soa] });
      return walk.respond(written(reply), {
        action: "answered",
        why: "the client's copy is current",
      });
    }
  }
  const replies = inMessages(query.message, records);
  walk.respond(
    { rcode: "NOERROR", replies },
    { action: "answered", why: `${records.length} records of ${plugin}` },
  );
}

/** Records in one message; the real one cuts after 500 records or 30 kB. */
function inMessages(request: DnsMessage, records: DnsMessage["answers"]): DnsMessage[] {
  const messages: DnsMessage[] = [];
  for (let at = 0; at < records.length; at += 500) {
    messages.push(replyTo(request, { aa: true, answers: records.slice(at, at + 500) }));
  }
  return messages;
}
