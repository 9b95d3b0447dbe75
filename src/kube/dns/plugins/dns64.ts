import type { DnsMessage } from "../../../wire/dns-message.js";
import { formatIp, parseCidr, parseIp } from "../address.js";
import type { Controller } from "../controller.js";
import { questionOf, record, replyTo } from "../messages.js";
import {
  definePlugin,
  unknownResult,
  written,
  type DnsContext,
  type Plugin,
  type Query,
  type Result,
  type Walk,
} from "../plugin.js";

interface Settings {
  prefix: { readonly value: bigint; readonly length: number };
  translateAll: boolean;
  allowIpv4: boolean;
}

/** `dns64 [PREFIX] { prefix P  translate_all  allow_ipv4 }`: makes AAAA records from A records. RFC 6147. */
export const dns64: Plugin = definePlugin({
  name: "dns64",
  setup(c) {
    const settings: Settings = {
      prefix: parsePrefix(c, "64:ff9b::/96"),
      translateAll: false,
      allowIpv4: false,
    };
    let place = c.place();
    while (c.next()) {
      place = c.place();
      const [text, more] = c.remainingArgs();
      if (more !== undefined) throw c.argErr();
      if (text !== undefined) settings.prefix = parsePrefix(c, text);
      while (c.nextBlock()) property(c, settings);
    }
    return {
      name: "dns64",
      place,
      serve(query, walk, context) {
        const { type, class: klass } = questionOf(query);
        const wanted = settings.allowIpv4 || query.client.address.includes(":");
        if (type !== "AAAA" || klass !== "IN" || !wanted) {
          return walk.next(query, { action: "passed", why: "not an AAAA query of an IPv6 client" });
        }
        walk.next(query, { action: "passed", why: "may make AAAA records" }, (result) => {
          if (!shouldTranslate(result, settings)) return walk.respond(result);
          translate(query, walk, context, settings, result);
        });
      },
    };
  },
});

function property(c: Controller, settings: Settings): void {
  const name = c.val();
  const [text] = c.remainingArgs();
  if (name === "prefix" && text !== undefined) settings.prefix = parsePrefix(c, text);
  else if (name === "translate_all") settings.translateAll = true;
  else if (name === "allow_ipv4") settings.allowIpv4 = true;
  else
    throw name === "prefix"
      ? c.argErr()
      : c.unknownProperty(["prefix", "translate_all", "allow_ipv4"]);
}

function parsePrefix(c: Controller, text: string): Settings["prefix"] {
  const net = parseCidr(text);
  if (net === undefined) throw c.plain(`invalid CIDR address: ${text}`);
  if (net.ip.family !== 6) throw c.plain(`"${text}" not an IPv6 prefix`);
  if (net.length < 32 || net.length > 96 || net.length % 8 !== 0)
    throw c.plain(`invalid prefix length "${net.length}"`);
  return { value: net.ip.value, length: net.length };
}

function shouldTranslate(result: Result, settings: Settings): boolean {
  const [reply] = result.replies;
  if (result.unknown !== undefined) return false;
  if (reply === undefined)
    return result.rcode !== "REFUSED" && result.rcode !== "FORMERR" && result.rcode !== "NOTIMP";
  if (reply.rcode === "NXDOMAIN") return false;
  return settings.translateAll || !reply.answers.some((answer) => answer.type === "AAAA");
}

function translate(
  query: Query,
  walk: Walk,
  context: DnsContext,
  settings: Settings,
  original: Result,
): void {
  context.lookup(query, questionOf(query).name, "A", (result) => {
    if (result.unknown !== undefined) return walk.respond(unknownResult(result.unknown));
    const [reply] = result.replies;
    if (reply === undefined) return walk.respond(original);
    const message = synthesise(query, reply, settings, original.replies[0]);
    walk.respond(written(message), {
      action: "answered",
      why: `made from ${reply.answers.length} records of type A`,
    });
  });
}

function synthesise(
  query: Query,
  reply: DnsMessage,
  settings: Settings,
  original: DnsMessage | undefined,
): DnsMessage {
  const soa = original?.authorities.find((authority) => authority.type === "SOA");
  const limit = soa?.ttl ?? 600;
  const answers = reply.answers.map((answer) => {
    if (answer.type !== "A") return answer;
    return record(
      answer.name,
      "AAAA",
      Math.min(answer.ttl, limit),
      embed(answer.data, settings.prefix),
      answer.class,
    );
  });
  const { tc, authorities, additionals } = reply;
  return replyTo(query.message, { tc, answers, authorities, additionals });
}

/** RFC 6052 §2.2: the address follows the prefix, octet 8 stays zero. */
function embed(text: string, prefix: Settings["prefix"]): string {
  const v4 = parseIp(text)?.value ?? 0n;
  const octets = Array.from({ length: 16 }, (_, at) =>
    Number((prefix.value >> BigInt(120 - 8 * at)) & 255n),
  );
  let at = prefix.length / 8;
  for (let octet = 0; octet < 4; octet++) {
    if (at === 8) at++;
    octets[at++] = Number((v4 >> BigInt(24 - 8 * octet)) & 255n);
  }
  return formatIp({
    family: 6,
    value: octets.reduce((value, octet) => value * 256n + BigInt(octet), 0n),
  });
}
