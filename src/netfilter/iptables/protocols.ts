import { parseNumber } from "./numbers.js";
import { refuse } from "./refusal.js";

/** Names that iptables knows itself, then those of /etc/protocols, in the order they are looked up. */
const PROTOCOLS: readonly (readonly [string, number])[] = [
  ["tcp", 6],
  ["sctp", 132],
  ["udp", 17],
  ["udplite", 136],
  ["icmp", 1],
  ["ipv6-icmp", 58],
  ["icmpv6", 58],
  ["esp", 50],
  ["ah", 51],
  ["mobility-header", 135],
  ["ipv6-mh", 135],
  ["mh", 135],
  ["all", 0],
  ["dccp", 33],
  ["ip", 0],
  ["hopopt", 0],
  ["igmp", 2],
  ["ggp", 3],
  ["ipencap", 4],
  ["ip-encap", 4],
  ["st", 5],
  ["egp", 8],
  ["igp", 9],
  ["pup", 12],
  ["hmp", 20],
  ["xns-idp", 22],
  ["rdp", 27],
  ["iso-tp4", 29],
  ["xtp", 36],
  ["ddp", 37],
  ["idpr-cmtp", 38],
  ["ipv6", 41],
  ["ipv6-route", 43],
  ["ipv6-frag", 44],
  ["idrp", 45],
  ["rsvp", 46],
  ["gre", 47],
  ["skip", 57],
  ["ipv6-nonxt", 59],
  ["ipv6-opts", 60],
  ["rspf", 73],
  ["vmtp", 81],
  ["eigrp", 88],
  ["ospf", 89],
  ["ospfigp", 89],
  ["ax.25", 93],
  ["ipip", 94],
  ["etherip", 97],
  ["encap", 98],
  ["pim", 103],
  ["ipcomp", 108],
  ["vrrp", 112],
  ["l2tp", 115],
  ["isis", 124],
  ["fc", 133],
  ["mpls-in-ip", 137],
  ["manet", 138],
  ["hip", 139],
  ["shim6", 140],
  ["wesp", 141],
  ["rohc", 142],
  ["ethernet", 143],
];

const numbers = new Map<string, number>(PROTOCOLS);
const names = new Map<number, string>(
  PROTOCOLS.toReversed().map(([name, number]) => [number, name]),
);

/** A protocol by name (any case) or number 0..255, in the tool's words when it is neither. */
export function parseProtocol(text: string): number {
  const number = numbers.get(text) ?? parseNumber(text, 0, 255) ?? numbers.get(text.toLowerCase());
  if (number === undefined)
    throw refuse(`unknown protocol "${text}" specified`, { code: "RULE_UNKNOWN_PROTOCOL" });
  return number;
}

/** As save prints it: the name, or the number of one without. */
export function formatProtocol(number: number): string {
  return names.get(number) ?? String(number);
}

export function protocolNames(): Iterable<string> {
  return numbers.keys();
}

/** Headers of IPv6 that `-p` never sees because the kernel steps over them. */
export function isIpv6ExtensionHeader(number: number): boolean {
  return [43, 44, 51, 60].includes(number);
}
