import { encodeDns } from "../../../wire/dns.js";
import type { DnsMessage } from "../../../wire/dns-message.js";
import { classify, type CacheClass } from "../cache-rules.js";
import type { Controller } from "../controller.js";
import { questionOf, replyTo, sizeLimit } from "../messages.js";
import { fqdn, isInZone, normalizeZone } from "../names.js";
import {
  definePlugin,
  isUnwritten,
  type Handler,
  type Plugin,
  type Query,
  type Result,
} from "../plugin.js";

interface Rule {
  readonly zone: string;
  readonly format: string;
  readonly classes: ReadonlySet<string>;
}

const common =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';
const combined = `${common} "{>opcode}"`;

/** `log [NAMES…] [FORMAT] { class … }`: one line for each query. Mirrors plugin/log. */
export const log: Plugin = definePlugin({
  name: "log",
  setup(c) {
    const rules: Rule[] = [];
    let place = c.place();
    while (c.next()) {
      if (rules.length === 0) place = c.place();
      rules.push(...directive(c));
    }
    return handler(place, rules);
  },
});

function directive(c: Controller): Rule[] {
  const args = c.remainingArgs();
  let format = common;
  if (args.length > 1 && args.at(-1)?.includes("{") === true) {
    format = (args.pop() ?? "").replaceAll("{common}", common).replaceAll("{combined}", combined);
  }
  const zones = args.length === 0 ? ["."] : args.flatMap((name) => normalizeZone(fqdn(name)));
  const classes = new Set<string>();
  while (c.nextBlock()) {
    if (c.val() !== "class") throw c.argErr();
    const names = c.remainingArgs();
    if (names.length === 0) throw c.argErr();
    for (const name of names) {
      if (!["success", "denial", "error", "all"].includes(name))
        throw c.plain(`invalid Class: ${name}`);
      classes.add(name);
    }
  }
  if (classes.size === 0) classes.add("all");
  return zones.map((zone) => ({ zone, format, classes }));
}

function handler(place: Handler["place"], rules: readonly Rule[]): Handler {
  return {
    name: "log",
    place,
    serve(query, walk, context) {
      const { name, type } = questionOf(query);
      const rule = rules.find((candidate) => isInZone(name, candidate.zone));
      if (rule === undefined)
        return walk.next(query, { action: "passed", why: "no rule for the name" });
      const begun = context.now();
      walk.next(
        query,
        { action: "passed", why: `logs what comes back by the rule for ${rule.zone}` },
        (result) => {
          const reply = replyOf(query, result);
          const kind = classOf(reply === undefined ? "OTHERERROR" : classify(reply, type));
          if (
            result.unknown !== undefined ||
            !(rule.classes.has("all") || rule.classes.has(kind))
          ) {
            return walk.respond(result);
          }
          const line = fill(rule.format, query, reply, (context.now() - begun) / 1_000_000);
          context.log(`[INFO] ${line}`);
          walk.respond(result, { action: "logged", why: line });
        },
      );
    },
  };
}

/** What was written, or what the server will write for a code that says that nothing was. */
function replyOf(query: Query, result: Result): DnsMessage | undefined {
  const [reply] = result.replies;
  return (
    reply ??
    (isUnwritten(result.rcode) ? replyTo(query.message, { rcode: result.rcode }) : undefined)
  );
}

function classOf(kind: CacheClass): string {
  if (kind === "NOERROR" || kind === "DELEGATION") return "success";
  return kind === "NXDOMAIN" || kind === "NODATA" ? "denial" : "error";
}

function fill(
  format: string,
  query: Query,
  reply: DnsMessage | undefined,
  elapsed: number,
): string {
  return format.replaceAll(
    /\{[^{}]*\}/g,
    (field) => fieldValue(field.slice(1, -1), query, reply, elapsed) ?? field,
  );
}

function fieldValue(
  field: string,
  query: Query,
  reply: DnsMessage | undefined,
  elapsed: number,
): string | undefined {
  const { message, client, server } = query;
  const { name, type, class: klass } = questionOf(query);
  if (field.startsWith("/")) {
    return query.metadata?.get(field.slice(1)) ?? "-";
  }
  switch (field) {
    case "remote":
      return bracketed(client.address);
    case "local":
      return bracketed(server.address);
    case "port":
      return String(client.port);
    case ">id":
      return String(message.id);
    case ">opcode":
      return String(message.opcode);
    case "type":
      return type;
    case "class":
      return klass;
    case "name":
      return name.toLowerCase();
    case "proto":
      return client.proto;
    case "size":
      return String(encodeDns(message, { compress: false }).length);
    case ">do":
      return String(message.edns?.do ?? false);
    case ">bufsize":
      return String(sizeLimit(query));
    case "rcode":
      return reply?.rcode ?? "-";
    case ">rflags":
      return reply === undefined ? "-" : flags(reply);
    case "rsize":
      return reply === undefined ? "0" : String(encodeDns(reply, { compress: false }).length);
    case "duration":
      return `${elapsed}s`;
    default:
      return undefined;
  }
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

function flags(reply: DnsMessage): string {
  const set = (["qr", "aa", "tc", "rd", "ra", "ad", "cd"] as const).filter((flag) => reply[flag]);
  return set.length === 0 ? "" : set.join(",");
}
