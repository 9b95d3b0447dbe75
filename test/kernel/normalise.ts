import { decodeFrame, decodeIpPacket, type Frame } from "../../src/wire/frame.js";
import { formatIpv4, formatIpv6, formatMac } from "../../src/wire/ip.js";
import type { Ipv6Header } from "../../src/wire/ipv6.js";
import { decodeNdisc, ND_OPT_NONCE, ND_OPT_REDIRECT_HDR } from "../../src/wire/ndisc.js";
import { decodeVxlan, isVxlanPort } from "../../src/wire/vxlan.js";
import { parseTcpOptions } from "../../src/inet/tcp-options.js";
import {
  TCP_ACK,
  TCP_FIN,
  TCP_PSH,
  TCP_RST,
  TCP_SYN,
  TCP_URG,
  type TcpHeader,
} from "../../src/wire/tcp.js";

const ICMP_TIMESTAMPREPLY = 14;

/** One frame as it was seen on an interface. */
export interface SeenFrame {
  readonly ns: string;
  readonly dev: string;
  readonly direction: "rx" | "tx";
  readonly bytes: Uint8Array;
}

/**
 * Writes frames as lines that two runs can be compared by. What is random becomes an alias in order of first
 * appearance: IP ids that are not 0, and TCP sequence numbers as a distance from the sender's first one.
 * Windows and the times in TCP options belong to the kernel's own stack and are left out.
 */
export class Normaliser {
  readonly #ids = new Map<string, string>();
  readonly #bases: number[] = [];
  readonly #ports = new Map<number, string>();
  readonly #known: ReadonlySet<number>;

  /** `known` are the ports that the lab names; any other was drawn by chance and becomes an alias. */
  constructor(known: ReadonlySet<number>) {
    this.#known = known;
  }

  /** A port, or its alias when it was drawn by chance. */
  port(port: number): string {
    if (this.#known.has(port)) return String(port);
    const alias = this.#ports.get(port) ?? `p${this.#ports.size + 1}`;
    this.#ports.set(port, alias);
    return alias;
  }

  line(seen: SeenFrame): string {
    const decoded = decodeFrame(seen.bytes);
    return `${seen.direction} ${decoded.ok ? this.#frame(decoded.value) : `undecodable: ${decoded.reason}`}`;
  }

  #frame(frame: Frame): string {
    const { link, network } = frame;
    const macs = `${formatMac(link.source)} > ${formatMac(link.destination)}`;
    if (network === undefined) return `${macs} type 0x${link.etherType.toString(16)}`;
    if (network.kind === "arp") {
      const what =
        network.operation === 1
          ? "who-has"
          : network.operation === 2
            ? "is-at"
            : `op ${network.operation}`;
      return `${macs} arp ${what} ${formatIpv4(network.targetIp)} tell ${formatIpv4(network.senderIp)} (${formatMac(network.senderMac)} ${formatMac(network.targetMac)})`;
    }
    return `${macs} ${this.#packet(frame)}`;
  }

  #packet(frame: Frame): string {
    const { network, transport } = frame;
    if (network?.kind === "ipv6") return this.#packet6(frame, network);
    if (network?.kind !== "ipv4") return "";
    const flags = `${network.dontFragment ? " DF" : ""}${network.moreFragments ? " MF" : ""}${network.fragmentOffset > 0 ? ` +${network.fragmentOffset}` : ""}`;
    const given = network.options.length === 0 ? "" : ` opts ${hex(withoutTimes(network.options))}`;
    const head = `ttl ${network.ttl}${given} tos 0x${network.tos.toString(16)} id ${this.#id(network.id, transport)}${flags}`;
    const [from, to] = [formatIpv4(network.source), formatIpv4(network.destination)];
    switch (transport?.kind) {
      case "tcp":
        return `${from}.${this.port(transport.sourcePort)} > ${to}.${this.port(transport.destinationPort)} tcp [${flagNames(transport.flags)}] seq ${this.#sequence(transport.sequence, (transport.flags & TCP_SYN) !== 0)} ack ${(transport.flags & TCP_ACK) === 0 ? "-" : this.#sequence(transport.acknowledgment, false)} ${head}${this.#options(transport)} ${text(frame.payload)}${wrong(transport)}`;
      case "udp":
        if (isVxlanPort(frame.payload, transport.destinationPort))
          return `${from}.${inRange(transport.sourcePort)} > ${to}.${transport.destinationPort} udp ${head} ${this.#vxlan(frame.payload)}${wrong(transport)}`;
        return `${from}.${this.port(transport.sourcePort)} > ${to}.${this.port(transport.destinationPort)} udp ${head} ${text(frame.payload)}${wrong(transport)}`;
      case "icmp":
        return `${from} > ${to} icmp ${transport.type}/${transport.code} rest 0x${transport.rest.toString(16)} ${head} ${this.#icmpData(frame)}${wrong(transport)}`;
      case undefined:
        return `${from} > ${to} proto ${network.protocol} ${head} ${hex(frame.payload)}`;
      default:
        return `${from} > ${to} ${head}`;
    }
  }

  #packet6(frame: Frame, network: Ipv6Header): string {
    const { transport, payload } = frame;
    const [from, to] = [formatIpv6(network.source), formatIpv6(network.destination)];
    const label = network.flowLabel === 0 ? "" : ` label 0x${network.flowLabel.toString(16)}`;
    const head = `hlim ${network.hopLimit} class 0x${network.trafficClass.toString(16)}${label}${this.#extensions(network)}`;
    switch (transport?.kind) {
      case "tcp":
        return `${from}.${this.port(transport.sourcePort)} > ${to}.${this.port(transport.destinationPort)} tcp [${flagNames(transport.flags)}] seq ${this.#sequence(transport.sequence, (transport.flags & TCP_SYN) !== 0)} ack ${(transport.flags & TCP_ACK) === 0 ? "-" : this.#sequence(transport.acknowledgment, false)} ${head}${this.#options(transport)} ${text(payload)}${wrong(transport)}`;
      case "udp":
        if (isVxlanPort(payload, transport.destinationPort))
          return `${from}.${inRange(transport.sourcePort)} > ${to}.${transport.destinationPort} udp ${head} ${this.#vxlan(payload)}${wrong(transport)}`;
        return `${from}.${this.port(transport.sourcePort)} > ${to}.${this.port(transport.destinationPort)} udp ${head} ${text(payload)}${wrong(transport)}`;
      case "icmpv6":
        return `${from} > ${to} icmpv6 ${transport.type}/${transport.code} rest 0x${transport.rest.toString(16)} ${head} ${this.#icmp6Data(transport.type, payload)}${wrong(transport)}`;
      default:
        return `${from} > ${to} proto ${network.protocol} ${head} ${hex(payload)}`;
    }
  }

  #extensions({ extensions }: Ipv6Header): string {
    return extensions
      .map((extension) =>
        extension.kind === "options"
          ? ` ext ${extension.type} ${hex(extension.body)}`
          : ` frag ${this.#alias(`frag ${extension.id}`)} ${extension.fragmentOffset}${extension.moreFragments ? "+" : ""}`,
      )
      .join("");
  }

  /** The packet that an error quotes; of neighbour discovery all but the nonce, which is random. */
  #icmp6Data(type: number, payload: Uint8Array): string {
    if (type < 128) {
      const framed = new Uint8Array(14 + payload.length);
      framed.set([0x86, 0xdd], 12);
      framed.set(payload, 14);
      const quote = decodeFrame(framed);
      if (quote.ok) return `quotes {${this.#packet(quote.value).replace(/ bad checksum.*$/, "")}}`;
      const inner = decodeIpPacket(payload);
      const { network } = inner.ok ? inner.value : { network: undefined };
      if (network?.kind !== "ipv6") return `quotes ${hex(payload)}`;
      return `quotes ${payload.length} {${formatIpv6(network.source)} > ${formatIpv6(network.destination)} proto ${network.protocol} hlim ${network.hopLimit}}`;
    }
    const message = decodeNdisc({ kind: "icmpv6", type, code: 0, rest: 0 }, payload);
    if (!message.ok) return text(payload);
    const { target, destination, options } = message.value;
    const shown = options.map((option) =>
      option.type === ND_OPT_NONCE
        ? "nonce"
        : option.type === ND_OPT_REDIRECT_HDR
          ? `redirected ${option.body.length}`
          : `${option.type}:${hex(option.body)}`,
    );
    const addresses = [target, destination].filter((address) => address !== undefined);
    return [...addresses.map(formatIpv6), ...shown].join(" ");
  }

  /** What the ends of a connection offer each other, and what came behind a hole. Times and windows are left out. */
  #options({ flags, options }: TcpHeader): string {
    const found = parseTcpOptions(options);
    if ((flags & TCP_SYN) !== 0) {
      const { mss, windowScale, sackPermitted, timestamp } = found;
      const offers = [
        ...(mss === undefined ? [] : [`mss ${mss}`]),
        ...(sackPermitted === true ? ["sackOK"] : []),
        ...(timestamp === undefined ? [] : ["TS"]),
        ...(windowScale === undefined ? [] : [`wscale ${windowScale}`]),
      ];
      return ` [${offers.join(",")}]`;
    }
    if (found.sack === undefined) return "";
    const blocks = found.sack.map(
      ({ start, end }) => `${this.#sequence(start, false)}:${this.#sequence(end, false)}`,
    );
    return ` sack ${blocks.join(" ")}`;
  }

  #alias(key: string): string {
    const alias = this.#ids.get(key) ?? `#${this.#ids.size + 1}`;
    this.#ids.set(key, alias);
    return alias;
  }

  /** A VXLAN header and the frame in it. */
  #vxlan(payload: Uint8Array): string {
    const vxlan = decodeVxlan(payload);
    if (!vxlan.ok) return hex(payload);
    const inner = decodeFrame(vxlan.value.payload);
    const { vni, flags } = vxlan.value.header;
    return `vxlan ${vni} 0x${flags.toString(16)} {${inner.ok ? this.#frame(inner.value) : hex(vxlan.value.payload)}}`;
  }

  /** What an ICMP error quotes is a packet of its own: its id and numbers are aliased too. */
  #icmpData(frame: Frame): string {
    const { transport, payload } = frame;
    if (transport?.kind === "icmp" && transport.type === ICMP_TIMESTAMPREPLY)
      // When it was received and sent: milliseconds of the day.
      return text(payload.map((byte, at) => (at >= 4 && at < 12 ? 0 : byte)));
    if (transport?.kind !== "icmp" || ![3, 4, 5, 11, 12].includes(transport.type))
      return text(payload);
    const framed = new Uint8Array(14 + payload.length);
    framed.set([8, 0], 12);
    framed.set(payload, 14);
    const quote = decodeFrame(framed);
    return quote.ok
      ? `quotes {${this.#packet(quote.value).replace(/ bad checksum.*$/, "")}}`
      : `quotes ${hex(withoutId(payload))}`;
  }

  /** Two packets that got the same id by chance are told apart by what routers do not change. */
  #id(id: number, transport: Frame["transport"]): string {
    if (id === 0) return "0";
    const kept = transport?.kind === "tcp" ? `tcp ${transport.sequence}` : transport?.kind;
    const key = `${id} ${kept ?? ""}`;
    let alias = this.#ids.get(key);
    if (alias === undefined) {
      alias = `#${this.#ids.size + 1}`;
      this.#ids.set(key, alias);
    }
    return alias;
  }

  /** A SYN starts a new count unless it is repeated; anything else counts from the nearest start before it. */
  #sequence(value: number, isFirst: boolean): string {
    const distance = (base: number): number => (value - base) >>> 0;
    const near = isFirst ? [value] : this.#bases.filter((base) => distance(base) < 1 << 14);
    const base = near.toSorted((x, y) => distance(x) - distance(y))[0];
    if (base === undefined) return value === 0 ? "0" : "?";
    if (!this.#bases.includes(base)) this.#bases.push(base);
    return `${this.#bases.indexOf(base)}+${distance(base)}`;
  }
}

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [TCP_FIN, "F"],
  [TCP_SYN, "S"],
  [TCP_RST, "R"],
  [TCP_PSH, "P"],
  [TCP_URG, "U"],
  [TCP_ACK, "."],
];

function flagNames(flags: number): string {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0)
    .map(([, name]) => name)
    .join("");
}

/** The source port of a tunnel is a hash under a random key, of which a local socket throws dice of its own: only its range is known. */
function inRange(port: number): string {
  return port >= 32_768 && port <= 60_999 ? "hashed" : String(port);
}

function wrong(transport: { readonly checksumError?: number | undefined }): string {
  return transport.checksumError === undefined || transport.checksumError === 0
    ? ""
    : " bad checksum";
}

/** Options without the times that hosts wrote into a timestamp option (RFC 791): those are of the day. */
function withoutTimes(options: Uint8Array): Uint8Array {
  const kept = options.slice();
  for (let at = 0; at < kept.length;) {
    const kind = kept[at] ?? 0;
    if (kind === 0) break;
    const length = kind === 1 ? 1 : Math.max(kept[at + 1] ?? 0, 2);
    const step = ((kept[at + 3] ?? 0) & 15) === 0 ? 4 : 8;
    if (kind === 68)
      for (let end = at + 4 + step; end <= at + length; end += step) kept.fill(0, end - 4, end);
    at += length;
  }
  return kept;
}

function text(bytes: Uint8Array): string {
  const words = new TextDecoder("latin1").decode(bytes);
  return /^[\x20-\x7e]*$/.test(words) ? JSON.stringify(words) : hex(bytes);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * A quoted header without its id and the checksum over it; of UDP also without its checksum, which a packet that never left
 * its host has not got yet.
 */
function withoutId(quote: Uint8Array): Uint8Array {
  const left = new Set([4, 5, 10, 11, ...(quote[0] === 0x45 && quote[9] === 17 ? [26, 27] : [])]);
  return quote.map((byte, at) => (left.has(at) ? 0 : byte));
}
