import { formatProtocol, protocolNames, parseProtocol } from "../iptables/protocols.js";
import { servicePort } from "../iptables/services.js";
import { readNumber } from "./numbers.js";
import { SetRefusal, syntaxError } from "./failure.js";
import type { SetFamily } from "./types.js";

const ICMP = 1;
const ICMPV6 = 58;
/** Protocols whose elements have real ports: sctp, udp, udplite, tcp. */
const WITH_PORTS: readonly number[] = [6, 17, 132, 136];

/** Names that iptables knows and /etc/protocols does not. */
const NOT_IN_PROTOCOLS: readonly string[] = ["all", "mh", "ipv6-mh", "icmpv6"];

/** Names of ICMP types as `type·256+code`. Mirrors lib/icmp.c. */
const ICMP_NAMES: readonly (readonly [string, number, number])[] = [
  ["echo-reply", 0, 0],
  ["pong", 0, 0],
  ["network-unreachable", 3, 0],
  ["host-unreachable", 3, 1],
  ["protocol-unreachable", 3, 2],
  ["port-unreachable", 3, 3],
  ["fragmentation-needed", 3, 4],
  ["source-route-failed", 3, 5],
  ["network-unknown", 3, 6],
  ["host-unknown", 3, 7],
  ["network-prohibited", 3, 9],
  ["host-prohibited", 3, 10],
  ["TOS-network-unreachable", 3, 11],
  ["TOS-host-unreachable", 3, 12],
  ["communication-prohibited", 3, 13],
  ["host-precedence-violation", 3, 14],
  ["precedence-cutoff", 3, 15],
  ["source-quench", 4, 0],
  ["network-redirect", 5, 0],
  ["host-redirect", 5, 1],
  ["TOS-network-redirect", 5, 2],
  ["TOS-host-redirect", 5, 3],
  ["echo-request", 8, 0],
  ["ping", 8, 0],
  ["router-advertisement", 9, 0],
  ["router-solicitation", 10, 0],
  ["ttl-zero-during-transit", 11, 0],
  ["ttl-zero-during-reassembly", 11, 1],
  ["ip-header-bad", 12, 0],
  ["required-option-missing", 12, 1],
  ["timestamp-request", 13, 0],
  ["timestamp-reply", 14, 0],
  ["address-mask-request", 17, 0],
  ["address-mask-reply", 18, 0],
];

/** Mirrors lib/icmpv6.c. */
const ICMPV6_NAMES: readonly (readonly [string, number, number])[] = [
  ["no-route", 1, 0],
  ["communication-prohibited", 1, 1],
  ["address-unreachable", 1, 3],
  ["port-unreachable", 1, 4],
  ["packet-too-big", 2, 0],
  ["ttl-zero-during-transit", 3, 0],
  ["ttl-zero-during-reassembly", 3, 1],
  ["bad-header", 4, 0],
  ["unknown-header-type", 4, 1],
  ["unknown-option", 4, 2],
  ["echo-request", 128, 0],
  ["ping", 128, 0],
  ["echo-reply", 129, 0],
  ["pong", 129, 0],
  ["router-solicitation", 133, 0],
  ["router-advertisement", 134, 0],
  ["neighbour-solicitation", 135, 0],
  ["neigbour-solicitation", 135, 0],
  ["neighbour-advertisement", 136, 0],
  ["neigbour-advertisement", 136, 0],
  ["redirect", 137, 0],
];

export function hasPorts(protocol: number): boolean {
  return WITH_PORTS.includes(protocol);
}

/** The name in lower case, else the number. Mirrors lib/print.c:ipset_print_proto(). */
export function formatSetProtocol(protocol: number): string {
  return formatProtocol(protocol);
}

/** Mirrors lib/print.c:ipset_print_port() and its callers. */
export function formatPort(protocol: number, port: number): string {
  const names = protocol === ICMP ? ICMP_NAMES : protocol === ICMPV6 ? ICMPV6_NAMES : undefined;
  if (names === undefined) return String(port);
  const [type, code] = [port >>> 8, port & 0xff];
  const known = names.find((entry) => entry[1] === type && entry[2] === code);
  return known?.[0] ?? `${type}/${code}`;
}

export interface PortRange {
  readonly proto: number;
  readonly port: number;
  readonly portTo: number | undefined;
  /** The protocol is one of the other family; what it is then cannot be told. */
  readonly wrongFamily?: string;
}

/** `[proto:]port[-port]` or `icmp:TYPE`. Mirrors lib/parse.c:ipset_parse_proto_port(). */
export function readProtoPort(text: string, family: SetFamily): PortRange {
  const colon = text.indexOf(":");
  // A port name has no colon; without anything behind it the whole is taken for a name.
  const named = colon >= 0 && colon < text.length - 1;
  const [protoText, portText] = named
    ? [text.slice(0, colon), text.slice(colon + 1)]
    : ["tcp", text];
  const proto = named ? readProtocol(protoText) : 6;
  if (hasPorts(proto)) return { proto, ...readPorts(portText, proto) };
  if (proto === ICMP || proto === ICMPV6) {
    const own = proto === ICMP ? "inet" : "inet6";
    if (family !== own) {
      const name = proto === ICMP ? "ICMP" : "ICMPv6";
      const wrong = `Protocol ${name} can be used with family ${own} only`;
      return { proto, port: 0, portTo: undefined, wrongFamily: wrong };
    }
    return { proto, port: readIcmp(portText, proto), portTo: undefined };
  }
  if (portText !== "0")
    throw syntaxError(`Protocol ${protoText} can be used with pseudo port value 0 only.`, text);
  return { proto, port: 0, portTo: undefined };
}

function readProtocol(text: string): number {
  const lower = text.toLowerCase();
  if (/^\d+$/.test(text) && Number(text) <= 255) return Number(text);
  if (lower === "icmpv6") return ICMPV6;
  const known = !NOT_IN_PROTOCOLS.includes(lower) && [...protocolNames()].includes(lower);
  if (!known) throw syntaxError(`cannot parse '${text}' as a protocol`, text);
  return parseProtocol(lower);
}

/** `80`, `http`, `80-90`; the protocol names the table of services. */
export function readPorts(
  text: string,
  proto: number,
): { readonly port: number; readonly portTo: number | undefined } {
  const dash = text.indexOf("-");
  // A service's name may hold a dash: only one that is not known as a whole is a range.
  if (dash < 0 || servicePort(text, proto) !== undefined)
    return { port: readPort(text, proto), portTo: undefined };
  const port = readPort(text.slice(0, dash), proto);
  return { port, portTo: readPort(text.slice(dash + 1), proto) };
}

/** A number or the name of a service. Mirrors lib/parse.c:ipset_parse_port(). */
function readPort(text: string, proto: number): number {
  const number = readNumber(text, 0n, 65_535n);
  if (typeof number === "bigint") return Number(number);
  const service = servicePort(text, proto);
  if (service !== undefined) return service;
  const name = formatProtocol(proto);
  throw new SetRefusal(
    `Syntax error: ${number}\nSyntax error: '${name}' is invalid as number\ncannot parse '${text}' as a ${name} port`,
    { word: text, bare: true },
  );
}

function readIcmp(text: string, proto: number): number {
  const names = proto === ICMP ? ICMP_NAMES : ICMPV6_NAMES;
  const known = names.find(([name]) => name === text.toLowerCase() || name === text);
  if (known !== undefined) return known[1] * 256 + known[2];
  const slash = text.indexOf("/");
  if (slash < 0)
    throw new SetRefusal(
      `Cannot parse ${text} as an ${proto === ICMP ? "ICMP" : "ICMPv6"} type/code.`,
      { word: text },
    );
  const [type, code] = [text.slice(0, slash), text.slice(slash + 1)].map((part) => {
    const value = readNumber(part, 0n, 255n);
    if (typeof value !== "bigint") throw syntaxError(value, text);
    return Number(value);
  });
  return (type ?? 0) * 256 + (code ?? 0);
}
