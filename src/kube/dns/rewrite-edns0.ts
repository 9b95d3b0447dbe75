import type { DnsMessage, Edns, EdnsOption } from "../../wire/dns-message.js";
import { parseHex } from "../../wire/bytes.js";
import { parseIp } from "./address.js";
import type { Controller } from "./controller.js";
import { parseInteger } from "./go-values.js";
import { questionOf } from "./messages.js";
import type { Query } from "./plugin.js";
import type { ResponseRule, Rewritten } from "./rewrite-rules.js";

type Action = "set" | "append" | "replace" | "unset";
type MakeData = (query: Query) => Uint8Array | undefined;

const NSID = 3;
const CLIENT_SUBNET = 8;

/** `edns0 local|nsid|subnet …`: changes the options of the query's OPT record. Mirrors plugin/rewrite/edns0.go. */
export function edns0Rule(
  c: Controller,
  args: readonly string[],
): (query: Query) => Rewritten | undefined {
  const [kind = "", actionText = "", ...rest] = args.map((arg, at) =>
    at < 2 ? arg.toLowerCase() : arg,
  );
  const revert = rest.at(-1)?.toLowerCase() === "revert";
  const words = revert ? rest.slice(0, -1) : rest;
  if (args.length < 2) throw c.plain("too few arguments for an EDNS0 rule");
  if (!isAction(actionText)) throw c.plain(`invalid action: "${actionText}"`);
  switch (kind) {
    case "local":
      return localRule(c, actionText, words, revert);
    case "nsid":
      if (words.length > 0) throw c.plain(`EDNS0 NSID rules do not accept args`);
      return optionRule(actionText, NSID, () => new Uint8Array(), revert);
    case "subnet":
      return subnetRule(c, actionText, words, revert);
    default:
      throw c.plain(`invalid rule type "${kind}"`, ["local", "nsid", "subnet"]);
  }
}

function isAction(text: string): text is Action {
  return text === "set" || text === "append" || text === "replace" || text === "unset";
}

function localRule(
  c: Controller,
  action: Action,
  words: readonly string[],
  revert: boolean,
): (query: Query) => Rewritten | undefined {
  const [codeText, data, more] = words;
  if (
    codeText === undefined ||
    more !== undefined ||
    (action !== "unset") !== (data !== undefined)
  ) {
    throw c.plain(`EDNS0 local rules require ${action === "unset" ? "one arg" : "two args"}`);
  }
  const code = /^0x[0-9a-f]+$/i.test(codeText) ? Number(codeText) : parseInteger(codeText);
  if (code === undefined || code < 0 || code > 65_535)
    throw c.plain(`strconv.ParseUint: parsing "${codeText}": invalid syntax`);
  c.config.ednsCodes.add(code);
  return optionRule(action, code, makeData(c, data ?? ""), revert);
}

function makeData(c: Controller, text: string): MakeData {
  if (/^0x/i.test(text)) {
    const bytes = parseHex(text.slice(2));
    if (bytes === undefined) throw c.plain(`encoding/hex: invalid byte in "${text}"`);
    return () => bytes;
  }
  const encoder = new TextEncoder();
  if (!/^\{.+\}$/.test(text)) return () => encoder.encode(text);
  const variable = text.slice(1, -1);
  if (!variable.startsWith("/") && !variables.has(variable))
    throw c.plain(`unable to extract data for variable ${text}`);
  return (query) => variableData(variable, query);
}

const variables: ReadonlySet<string> = new Set(
  "qname qtype client_ip client_port protocol server_ip server_port".split(" "),
);

function variableData(variable: string, query: Query): Uint8Array | undefined {
  const encoder = new TextEncoder();
  const { client, server } = query;
  const { name, type } = questionOf(query);
  if (variable.startsWith("/")) {
    const value = query.metadata?.get(variable.slice(1));
    return value === undefined ? undefined : encoder.encode(value);
  }
  switch (variable) {
    case "qname":
      return encoder.encode(name);
    case "qtype":
      return encoder.encode(type);
    case "client_ip":
      return addressBytes(client.address);
    case "client_port":
      return portBytes(client.port);
    case "protocol":
      return encoder.encode(client.proto);
    case "server_ip":
      return addressBytes(server.address);
    default:
      return portBytes(server.port);
  }
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 255);
}

function addressBytes(text: string): Uint8Array | undefined {
  const ip = parseIp(text);
  if (ip === undefined) return undefined;
  const length = ip.family === 4 ? 4 : 16;
  return Uint8Array.from({ length }, (_, at) =>
    Number((ip.value >> BigInt(8 * (length - 1 - at))) & 255n),
  );
}

function subnetRule(
  c: Controller,
  action: Action,
  words: readonly string[],
  revert: boolean,
): (query: Query) => Rewritten | undefined {
  const [v4, v6, more] = words.map((word) => parseInteger(word));
  if (action === "unset") return optionRule(action, CLIENT_SUBNET, () => new Uint8Array(), revert);
  if (v4 === undefined || v6 === undefined || more !== undefined)
    throw c.plain("EDNS0 subnet rules require two args");
  if (v4 < 0 || v4 > 32) throw c.plain(`invalid IPv4 bit mask length ${v4}`);
  if (v6 < 0 || v6 > 128) throw c.plain(`invalid IPv6 bit mask length ${v6}`);
  return optionRule(action, CLIENT_SUBNET, (query) => subnetData(query, v4, v6), revert);
}

/** RFC 7871 §6: family, source length, scope 0, the address's first octets. */
function subnetData(query: Query, v4: number, v6: number): Uint8Array | undefined {
  const bytes = addressBytes(query.client.address);
  if (bytes === undefined) return undefined;
  const length = bytes.length === 4 ? v4 : v6;
  const kept = bytes.map((byte, at) => {
    const bits = Math.min(Math.max(length - 8 * at, 0), 8);
    return byte & ((0xff << (8 - bits)) & 0xff);
  });
  return Uint8Array.of(
    0,
    bytes.length === 4 ? 1 : 2,
    length,
    0,
    ...kept.subarray(0, Math.ceil(length / 8)),
  );
}

function optionRule(
  action: Action,
  code: number,
  make: MakeData,
  revert: boolean,
): (query: Query) => Rewritten | undefined {
  return (query) => {
    const created: Edns = { udpSize: 4096, version: 0, do: false, options: [] };
    const edns = query.message.edns ?? created;
    const data = make(query);
    if (data === undefined) return undefined;
    const old = edns.options.find((option) => option.code === code);
    const options = changed(edns.options, action, { code, data });
    if (options === undefined) {
      if (action === "unset" || query.message.edns !== undefined) return undefined;
      return {
        query: { ...query, message: { ...query.message, edns: created } },
        responses: [],
        ignored: true,
      };
    }
    const message = { ...query.message, edns: { ...edns, options } };
    const responses: ResponseRule[] = revert
      ? [{ kind: "message", apply: (reply) => undo(reply, code, old) }]
      : [];
    return { query: { ...query, message }, responses };
  };
}

function changed(
  options: readonly EdnsOption[],
  action: Action,
  option: EdnsOption,
): readonly EdnsOption[] | undefined {
  const has = options.some((candidate) => candidate.code === option.code);
  const others = options.filter((candidate) => candidate.code !== option.code);
  if (action === "unset") return has ? others : undefined;
  if (has && action !== "append")
    return options.map((candidate) => (candidate.code === option.code ? option : candidate));
  return action === "replace" ? undefined : [...options, option];
}

function undo(reply: DnsMessage, code: number, old: EdnsOption | undefined): DnsMessage {
  if (reply.edns === undefined) return reply;
  const others = reply.edns.options.filter((option) => option.code !== code);
  return {
    ...reply,
    edns: { ...reply.edns, options: old === undefined ? others : [...others, old] },
  };
}
