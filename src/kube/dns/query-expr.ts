import { encodeDns } from "../../wire/dns.js";
import { netContains, parseCidr, parseIp } from "./address.js";
import { ExprFailure, type ExprFunction, type ExprType, type ExprValue } from "./expr.js";
import { questionOf, sizeLimit } from "./messages.js";
import type { Query } from "./plugin.js";

/** The functions that expressions of `view` and `template` know, and what they give. */
export const queryFunctionTypes: ReadonlyMap<string, ExprType> = new Map<string, ExprType>([
  ["type", "string"],
  ["name", "string"],
  ["class", "string"],
  ["proto", "string"],
  ["size", "int"],
  ["client_ip", "string"],
  ["port", "string"],
  ["id", "int"],
  ["opcode", "int"],
  ["do", "bool"],
  ["bufsize", "int"],
  ["server_ip", "string"],
  ["server_port", "string"],
  ["incidr", "bool"],
  ["metadata", "string"],
]);

/** What these functions give for one query. Mirrors plugin/pkg/expression. */
export function queryFunctions(query: Query): Map<string, ExprFunction> {
  const { message, client, server } = query;
  const { name, type, class: klass } = questionOf(query);
  return new Map<string, ExprFunction>([
    ["type", () => type],
    ["name", () => name.toLowerCase()],
    ["class", () => klass],
    ["proto", () => client.proto],
    ["size", () => encodeDns(message, { compress: false }).length],
    ["client_ip", () => client.address],
    ["port", () => String(client.port)],
    ["id", () => message.id],
    ["opcode", () => message.opcode],
    ["do", () => message.edns?.do === true],
    ["bufsize", () => sizeLimit(query)],
    ["server_ip", () => server.address],
    ["server_port", () => String(server.port)],
    ["incidr", inCidr],
    ["metadata", (label) => query.metadata?.get(String(label)) ?? ""],
  ]);
}

function inCidr(address: ExprValue, block: ExprValue): boolean {
  const ip = parseIp(String(address));
  const net = parseCidr(String(block));
  if (ip === undefined) throw new ExprFailure("first argument is not an IP address");
  if (net === undefined) throw new ExprFailure(`invalid CIDR address: ${String(block)}`);
  return netContains(net, ip);
}
