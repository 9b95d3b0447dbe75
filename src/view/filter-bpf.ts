import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.js";
import {
  MAC_BROADCAST,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6Prefix,
  parseMac,
} from "../wire/ip.js";
import {
  type Arithmetic,
  compareArithmetic,
  parseArithmetic,
  startsArithmetic,
} from "./filter-bpf-arithmetic.js";
import { BpfLexer, type BpfToken } from "./filter-bpf-lexer.js";
import {
  all,
  any,
  type BpfTest,
  type Direction,
  etherType,
  ipProtocol,
  ipv4Addresses,
  ipv6Addresses,
  load,
  macAddresses,
  not,
  numberIn,
  partialNet,
  PORT_PROTOCOLS,
  ports,
} from "./filter-bpf-packet.js";

/** Protocols that qualify a test or are one, with their numbers. */
const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  esp: 50,
  ah: 51,
  icmp6: 58,
  pim: 103,
  vrrp: 112,
  sctp: 132,
};
const ETHER_TYPES: Readonly<Record<string, number>> = {
  ip: ETH_P_IP,
  arp: ETH_P_ARP,
  rarp: 0x8035,
  ip6: ETH_P_IPV6,
};
const TYPES: readonly string[] = ["host", "net", "port", "portrange", "proto"];
const WORDS: readonly string[] = [
  ...Object.keys(IP_PROTOCOLS),
  ...Object.keys(ETHER_TYPES),
  ...TYPES,
  ...[
    "ether",
    "src",
    "dst",
    "vlan",
    "broadcast",
    "multicast",
    "less",
    "greater",
    "len",
    "not",
    "and",
    "or",
  ],
];

/** Ports that people write by name. */
const PORTS: Readonly<Record<string, number>> = {
  "ftp-data": 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  http: 80,
  ntp: 123,
  snmp: 161,
  bgp: 179,
  https: 443,
  syslog: 514,
};
/** Names that services(5) knows for one protocol alone: they say the protocol too. */
const UDP_NAMES: readonly string[] = ["ntp", "syslog"];
const BOTH_NAMES: readonly string[] = ["domain", "snmp", "https"];

/** What a name or number is compared with: `tcp dst port`. Left out words are those of the test before. */
interface Qualifiers {
  readonly protocol: string | undefined;
  readonly direction: Direction | undefined;
  readonly type: string | undefined;
}

/** How deep parentheses go. */
const DEPTH = 100;

/**
 * A packet filter as tcpdump takes it: hosts, networks, ports, protocols, `tcp[13] & 2 != 0`, `vlan`. Gives a test of
 * an Ethernet frame's bytes. Throws a UserError whose column counts from 1 within `text`. Mirrors pcap-filter(7).
 */
export function parseBpf(text: string): (bytes: Uint8Array) => boolean {
  const test = new BpfParser(text).whole();
  return (bytes) => test({ bytes }) === true;
}

class BpfParser {
  readonly #lexer: BpfLexer;
  #depth = 0;
  /** How far VLAN tags that were tested for move what follows. */
  #shift = 0;
  #last: Qualifiers = { protocol: undefined, direction: undefined, type: undefined };

  constructor(text: string) {
    this.#lexer = new BpfLexer(text);
  }

  whole(): BpfTest {
    if (this.#lexer.peek().kind === "end") return () => true;
    const test = this.#expression();
    const rest = this.#lexer.peek();
    if (rest.kind !== "end")
      throw this.#wrong(rest, `"${rest.text}" is unexpected here`, "join tests with and, or");
    return test;
  }

  /** `and` and `or` bind alike, from left to right. */
  #expression(): BpfTest {
    if (++this.#depth > DEPTH)
      throw this.#wrong(this.#lexer.peek(), `a packet filter is nested at most ${DEPTH} deep`);
    let left = this.#term();
    for (;;) {
      if (this.#lexer.accept("and", "&&")) left = all([left, this.#term()]);
      else if (this.#lexer.accept("or", "||")) left = any([left, this.#term()]);
      else break;
    }
    this.#depth--;
    return left;
  }

  #term(): BpfTest {
    if (this.#lexer.accept("not", "!")) {
      if (++this.#depth > DEPTH)
        throw this.#wrong(this.#lexer.peek(), `a packet filter is nested at most ${DEPTH} deep`);
      const inner = this.#term();
      this.#depth--;
      return not(inner);
    }
    if (startsArithmetic(this.#lexer)) return this.#comparison();
    if (this.#lexer.accept("(")) {
      const inner = this.#expression();
      if (!this.#lexer.accept(")")) throw this.#wrong(this.#lexer.peek(), `")" is missing`);
      return inner;
    }
    return this.#primitive();
  }

  #comparison(): BpfTest {
    const left: Arithmetic = parseArithmetic(this.#lexer, this.#shift);
    const operator = this.#lexer.next();
    if (!["=", "==", "!=", "<", ">", "<=", ">="].includes(operator.text))
      throw this.#wrong(operator, "a comparison is missing here", "compare with = != < > <= >=");
    return compareArithmetic(left, operator.text, parseArithmetic(this.#lexer, this.#shift));
  }

  #primitive(): BpfTest {
    const first = this.#lexer.peek();
    if (first.kind === "end") throw this.#wrong(first, "a test is missing here");
    if (this.#lexer.accept("less", "greater")) return this.#length(first.text);
    if (this.#lexer.accept("vlan")) return this.#vlan();
    const qualifiers = this.#qualifiers();
    const found = this.#lexer.peek();
    if (qualifiers.protocol !== "ip" && this.#lexer.accept("broadcast"))
      return macAddresses("dst", MAC_BROADCAST);
    if (this.#lexer.accept("multicast")) return this.#multicast(qualifiers.protocol);
    const alone =
      qualifiers.protocol !== undefined &&
      qualifiers.direction === undefined &&
      qualifiers.type === undefined;
    if (alone && (found.kind === "end" || found.kind === "mark" || isJoin(found)))
      return this.#protocolAlone(qualifiers.protocol, first);
    if (found.kind !== "word" || (first !== found && WORDS.includes(found.text)))
      throw this.#wrong(found, "a host, network or port is missing here");
    this.#lexer.next();
    const bare = first === found;
    const used = bare ? this.#last : qualifiers;
    this.#last = used;
    if (
      bare &&
      used.type === undefined &&
      used.direction === undefined &&
      used.protocol === undefined
    )
      throw this.#unknownWord(found);
    return this.#compare(used, found);
  }

  #qualifiers(): Qualifiers {
    const { text: word, kind } = this.#lexer.peek();
    let protocol: string | undefined;
    if (
      kind === "word" &&
      (word === "ether" ||
        numberIn(ETHER_TYPES, word) !== undefined ||
        numberIn(IP_PROTOCOLS, word) !== undefined)
    ) {
      protocol = word;
      this.#lexer.next();
    }
    const direction = this.#direction();
    const type = TYPES.find((one) => one === this.#lexer.peek().text);
    if (type !== undefined) this.#lexer.next();
    return { protocol, direction, type };
  }

  #direction(): Direction | undefined {
    const { text } = this.#lexer.peek();
    if (text !== "src" && text !== "dst") return undefined;
    this.#lexer.next();
    const joined = this.#lexer.peek();
    const other = text === "src" ? "dst" : "src";
    if ((joined.text !== "or" && joined.text !== "and") || this.#lexer.peek(1).text !== other)
      return text;
    this.#lexer.next();
    this.#lexer.next();
    return joined.text === "or" ? "src or dst" : "src and dst";
  }

  #protocolAlone(name: string | undefined, token: BpfToken): BpfTest {
    const type = numberIn(ETHER_TYPES, name ?? "");
    if (type !== undefined) return etherType(type, this.#shift);
    const protocol = numberIn(IP_PROTOCOLS, name ?? "");
    if (protocol === undefined)
      throw this.#wrong(token, `"${name ?? ""}" needs something to compare with`);
    const family = name === "icmp" || name === "igmp" ? "ip" : name === "icmp6" ? "ip6" : "both";
    return ipProtocol(protocol, family, this.#shift);
  }

  #compare(
    { protocol, direction = "src or dst", type = "host" }: Qualifiers,
    value: BpfToken,
  ): BpfTest {
    switch (type) {
      case "port":
      case "portrange":
        return ports(
          this.#portProtocols(protocol, value),
          direction,
          this.#ports(type, value),
          this.#shift,
        );
      case "proto":
        return this.#protoNumber(protocol, value);
      case "net":
        return this.#net(protocol, direction, value);
      default:
        return this.#host(protocol, direction, value);
    }
  }

  #portProtocols(protocol: string | undefined, value: BpfToken): readonly number[] {
    if (protocol === undefined) return protocolsOfName(value.text);
    const number = numberIn(IP_PROTOCOLS, protocol);
    if (number === undefined || !PORT_PROTOCOLS.includes(number))
      throw this.#wrong(value, `illegal qualifier of 'port': ${protocol}`);
    return [number];
  }

  #ports(type: string, value: BpfToken): readonly [number, number] {
    const [low = "", high = low] = type === "portrange" ? value.text.split("-") : [value.text];
    const ends = [low, high].map(
      (text) => numberIn(PORTS, text) ?? (/^\d+$/.test(text) ? Number(text) : undefined),
    );
    const [from, to] = ends;
    if (from === undefined || to === undefined) {
      const near = nearest(value.text, Object.keys(PORTS));
      throw this.#wrong(
        value,
        `unknown port '${value.text}'`,
        near === undefined ? undefined : `did you mean ${near}?`,
      );
    }
    if (from > 65_535 || to > 65_535)
      throw this.#wrong(value, `illegal port number ${Math.max(from, to)} > 65535`);
    return [Math.min(from, to), Math.max(from, to)];
  }

  #protoNumber(protocol: string | undefined, value: BpfToken): BpfTest {
    const name = value.text.replace(/^\\/, "");
    if (protocol === "ether") {
      const type = numberIn(ETHER_TYPES, name) ?? numberOf(name);
      if (type === undefined) throw this.#wrong(value, `unknown ether proto '${name}'`);
      return etherType(type, this.#shift);
    }
    const number = numberIn(IP_PROTOCOLS, name) ?? numberOf(name);
    if (number === undefined) throw this.#wrong(value, `unknown protocol: ${name}`);
    const family = protocol === "ip" ? "ip" : protocol === "ip6" ? "ip6" : "both";
    return ipProtocol(number, family, this.#shift);
  }

  #host(protocol: string | undefined, direction: Direction, value: BpfToken): BpfTest {
    const mac = parseMac(value.text);
    if (protocol === "ether" || mac !== undefined) {
      if (mac === undefined) throw this.#wrong(value, `unknown ether host '${value.text}'`);
      return macAddresses(direction, mac);
    }
    const address = parseIpv4(value.text);
    if (address !== undefined)
      return this.#withProtocol(protocol, (family) =>
        ipv4Addresses(direction, address, 0xffff_ffff, family, this.#shift),
      );
    const six = value.text.includes(":") ? parseIpv6Prefix(value.text) : undefined;
    if (six !== undefined) return ipv6Addresses(direction, six.address, 128, this.#shift);
    throw this.#wrong(
      value,
      `unknown host '${value.text}'`,
      "names are not looked up: write an address",
    );
  }

  #net(protocol: string | undefined, direction: Direction, value: BpfToken): BpfTest {
    if (value.text.includes(":")) {
      const six = parseIpv6Prefix(value.text);
      if (six === undefined) throw this.#wrong(value, `unknown network '${value.text}'`);
      return ipv6Addresses(direction, six.address, six.length, this.#shift);
    }
    const prefix = value.text.includes("/") ? parseIpv4Prefix(fullAddress(value.text)) : undefined;
    const masked = prefix === undefined ? partialNet(value.text) : undefined;
    const address = prefix?.address ?? masked?.address;
    if (address === undefined) throw this.#wrong(value, `unknown network '${value.text}'`);
    let mask = prefix === undefined ? (masked?.mask ?? 0) : maskOf(prefix.length);
    if (prefix === undefined && this.#lexer.accept("mask")) {
      const given = this.#lexer.next();
      const parsed = parseIpv4(given.text);
      if (parsed === undefined) throw this.#wrong(given, `"${given.text}" is no mask`);
      mask = parsed;
    }
    if ((address & ~mask) !== 0)
      throw this.#wrong(value, `non-network bits set in "${value.text}"`);
    return this.#withProtocol(protocol, (family) =>
      ipv4Addresses(direction, address, mask, family, this.#shift),
    );
  }

  /** `tcp host 10.0.0.1` is no such thing: only IP and ARP have hosts. */
  #withProtocol(
    protocol: string | undefined,
    make: (family: "ip" | "arp" | "rarp" | "any") => BpfTest,
  ): BpfTest {
    if (protocol === undefined) return make("any");
    if (protocol === "ip" || protocol === "arp" || protocol === "rarp") return make(protocol);
    throw this.#wrong(
      this.#lexer.peek(),
      `'${protocol}' modifier applied to host`,
      "write: tcp and host 10.0.0.1",
    );
  }

  #length(word: string): BpfTest {
    const token = this.#lexer.next();
    const limit = numberOf(token.text);
    if (limit === undefined) throw this.#wrong(token, `${word} needs a length in bytes`);
    return ({ bytes }) => (word === "less" ? bytes.length <= limit : bytes.length >= limit);
  }

  #multicast(protocol: string | undefined): BpfTest {
    const shift = this.#shift;
    if (protocol === "ip")
      return all([
        etherType(ETH_P_IP, shift),
        ({ bytes }) => {
          const first = load(bytes, 14 + shift + 16, 1);
          return first === undefined ? undefined : first >= 224;
        },
      ]);
    return ({ bytes }) => {
      const first = load(bytes, 0, 1);
      return first === undefined ? undefined : (first & 1) === 1;
    };
  }

  #vlan(): BpfTest {
    const shift = this.#shift;
    this.#shift += 4;
    const tagged = any([0x8100, 0x88a8, 0x9100].map((type) => etherType(type, shift)));
    const token = this.#lexer.peek();
    const id = token.kind === "word" ? numberOf(token.text) : undefined;
    if (id === undefined) return tagged;
    this.#lexer.next();
    if (id > 4095) throw this.#wrong(token, `VLAN tag ${id} greater than maximum 4095`);
    return all([
      tagged,
      ({ bytes }) => {
        const tci = load(bytes, 14 + shift, 2);
        return tci === undefined ? undefined : (tci & 0xfff) === id;
      },
    ]);
  }

  #unknownWord(token: BpfToken): UserError {
    const near = nearest(token.text, WORDS);
    return this.#wrong(
      token,
      `"${token.text}" is no word of a packet filter`,
      near === undefined ? "as in tcpdump: host 10.0.0.1 and tcp port 80" : `did you mean ${near}?`,
    );
  }

  #wrong(token: BpfToken, message: string, help?: string): UserError {
    return this.#lexer.wrong(token, message, help);
  }
}

/** A number may be a port of any protocol. */
function protocolsOfName(name: string): readonly number[] {
  if (numberIn(PORTS, name) === undefined || BOTH_NAMES.includes(name)) return PORT_PROTOCOLS;
  return [UDP_NAMES.includes(name) ? IPPROTO_UDP : IPPROTO_TCP];
}

function isJoin({ text }: BpfToken): boolean {
  return ["and", "or", "&&", "||", ")"].includes(text);
}

function numberOf(text: string): number | undefined {
  return /^(0x[0-9a-f]{1,8}|\d{1,9})$/i.test(text) ? Number(text) : undefined;
}

function maskOf(length: number): number {
  return length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
}

/** `10/8` as `10.0.0.0/8`. */
function fullAddress(text: string): string {
  const [address = "", length = ""] = text.split("/");
  const parts = address.split(".");
  return `${[...parts, "0", "0", "0"].slice(0, 4).join(".")}/${length}`;
}
