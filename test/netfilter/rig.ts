import type { CtInfo } from "../../src/core/conntrack.js";
import { type HookState, nfHook } from "../../src/core/hooks.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import { Simulation, newSkb } from "../../src/core/simulation.js";
import type { SkBuff } from "../../src/core/skbuff.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { conntrackPernet, requireConntrack } from "../../src/netfilter/conntrack/hooks.js";
import { type ConntrackTable, conntrack } from "../../src/netfilter/conntrack/table.js";
import { formatEntry } from "../../src/netfilter/conntrack/text.js";
import { microseconds } from "../../src/sim/time.js";
import { ETH_P_IP, ETH_P_IPV6 } from "../../src/wire/ethernet.js";
import {
  type Frame,
  NO_BYTES,
  type TransportHeader,
  encodeIpPacket,
} from "../../src/wire/frame.js";
import { ICMPV6_DEST_UNREACH } from "../../src/wire/icmpv6.js";
import { type Ipv4, type Ipv6, MAC_ZERO, parseIpv4, parseIpv6 } from "../../src/wire/ip.js";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../src/wire/ipv4.js";
import type { Ipv6Extension } from "../../src/wire/ipv6-extension.js";
import { IPPROTO_ICMPV6, NO_EXTENSIONS } from "../../src/wire/ipv6.js";
import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from "../../src/wire/tcp.js";

/** A router's hooks without its routing: packets are pushed through PREROUTING, FORWARD and POSTROUTING by hand. */
export interface Rig {
  readonly sim: Simulation;
  readonly ns: NetworkNamespace;
  readonly table: ConntrackTable;
  readonly events: TraceEvent[];
  /** Pushes a packet through the hooks a forwarded one meets; undefined when it was dropped. */
  forward(
    frame: Frame,
    options?: { readonly until?: "PREROUTING" | "FORWARD" },
  ): SkBuff | undefined;
  /** Moves the clock, in seconds. */
  wait(seconds: number): void;
  /** The lines of `conntrack -L`. */
  list(): readonly string[];
}

export function rig(seed = 1): Rig {
  const sim = new Simulation({ seed, pernet: [conntrackPernet] });
  const ns = sim.createNamespace("router");
  const table = conntrack(ns);
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  requireConntrack(ns);
  requireConntrack(ns, "ipv6");
  return {
    sim,
    ns,
    table,
    events,
    forward(frame, options = {}) {
      const skb = newSkb(ns, frame, "test");
      const hooks =
        options.until === "PREROUTING"
          ? HOOKS.slice(0, 1)
          : options.until === "FORWARD"
            ? HOOKS.slice(0, 2)
            : HOOKS;
      const family = frame.network?.kind === "ipv6" ? "ipv6" : "ipv4";
      return hooks.every((hook) => passes(skb, { hook, family, ns, in: undefined, out: undefined }))
        ? skb
        : undefined;
    },
    wait(seconds) {
      sim.queue.advanceTo(microseconds(sim.queue.now + seconds * 1_000_000));
    },
    list: () => [...table.entries()].map((entry) => formatEntry(entry, sim.queue.now)),
  };
}

const HOOKS = ["PREROUTING", "FORWARD", "POSTROUTING"] as const;

export function passes(skb: SkBuff, state: HookState): boolean {
  let accepted = false;
  nfHook(skb, state, () => {
    accepted = true;
    return undefined;
  });
  return accepted;
}

/** How a packet stands in its connection: what `--ctstate` would say. */
export function infoOf(skb: SkBuff | undefined): CtInfo | "INVALID" | "dropped" {
  return skb === undefined ? "dropped" : (skb.ct?.info ?? "INVALID");
}

export function ip(text: string): Ipv4 {
  const address = parseIpv4(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

export function packet(
  source: string,
  destination: string,
  protocol: number,
  transport: TransportHeader | undefined,
  payload: Uint8Array = NO_BYTES,
): Frame {
  return {
    link: { destination: MAC_ZERO, source: MAC_ZERO, etherType: ETH_P_IP },
    network: {
      kind: "ipv4",
      tos: 0,
      id: 0x1112,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol,
      source: ip(source),
      destination: ip(destination),
      options: NO_BYTES,
    },
    transport,
    payload,
  };
}

/** `10.0.0.1:1000` to `10.0.0.2:53`. */
export function udp(from: string, to: string, payload: Uint8Array = NO_BYTES): Frame {
  const [source, sourcePort] = end(from);
  const [destination, destinationPort] = end(to);
  return packet(
    source,
    destination,
    IPPROTO_UDP,
    { kind: "udp", sourcePort, destinationPort },
    payload,
  );
}

export interface Segment {
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly length?: number;
  readonly options?: Uint8Array;
}

/** `flags` by their letters as tcpdump prints them, A for ACK: `S`, `SA`, `FA`, `R`, `` for none. */
export function tcp(from: string, to: string, flags: string, segment: Segment = {}): Frame {
  const [source, sourcePort] = end(from);
  const [destination, destinationPort] = end(to);
  const header: TransportHeader = {
    kind: "tcp",
    sourcePort,
    destinationPort,
    sequence: segment.seq ?? 0,
    acknowledgment: segment.ack ?? 0,
    flags: [...flags].reduce((bits, letter) => bits | (FLAGS[letter] ?? 0), 0),
    window: segment.window ?? 64_000,
    urgent: 0,
    options: segment.options ?? NO_BYTES,
  };
  return packet(source, destination, IPPROTO_TCP, header, new Uint8Array(segment.length ?? 0));
}

const FLAGS: Readonly<Record<string, number>> = {
  S: TCP_SYN,
  A: TCP_ACK,
  F: TCP_FIN,
  R: TCP_RST,
  P: TCP_PSH,
  U: TCP_URG,
};

export function icmp(source: string, destination: string, type: number, id = 0, code = 0): Frame {
  return packet(source, destination, IPPROTO_ICMP, {
    kind: "icmp",
    type,
    code,
    rest: id * 0x1_0000 + 1,
  });
}

/** An ICMP error that quotes the first `limit` bytes of `about`. */
export function icmpError(
  source: string,
  destination: string,
  type: number,
  code: number,
  about: Frame,
  limit = 28,
): Frame {
  return packet(
    source,
    destination,
    IPPROTO_ICMP,
    { kind: "icmp", type, code, rest: 0 },
    encodeIpPacket(about, limit),
  );
}

function end(text: string): readonly [string, number] {
  const [address = "", port = "0"] = text.split(":");
  return [address, Number(port)];
}

export function ip6(text: string): Ipv6 {
  const address = parseIpv6(text);
  if (address === undefined) throw new Error(`not an IPv6 address: ${text}`);
  return address;
}

/** A packet between two IPv6 addresses. */
export function packet6(
  source: string,
  destination: string,
  protocol: number,
  transport: TransportHeader | undefined,
  payload: Uint8Array = NO_BYTES,
  extensions: readonly Ipv6Extension[] = NO_EXTENSIONS,
): Frame {
  return {
    link: { destination: MAC_ZERO, source: MAC_ZERO, etherType: ETH_P_IPV6 },
    network: {
      kind: "ipv6",
      trafficClass: 0,
      flowLabel: 0,
      hopLimit: 64,
      protocol,
      source: ip6(source),
      destination: ip6(destination),
      extensions,
    },
    transport,
    payload,
  };
}

export function udp6(from: string, to: string, payload?: Uint8Array): Frame {
  const [source, sourcePort] = endOf(from);
  const [destination, destinationPort] = endOf(to);
  const transport: TransportHeader = { kind: "udp", sourcePort, destinationPort };
  return packet6(source, destination, IPPROTO_UDP, transport, payload);
}

export function echo6(
  type: number,
  source: string,
  destination: string,
  id: number,
  code = 0,
): Frame {
  const transport: TransportHeader = { kind: "icmpv6", type, code, rest: id * 0x1_0000 + 1 };
  return packet6(source, destination, IPPROTO_ICMPV6, transport);
}

/** An ICMPv6 error from `source` to `destination` about a packet. */
export function error6(
  source: string,
  destination: string,
  about: Frame,
  type: number = ICMPV6_DEST_UNREACH,
): Frame {
  const transport: TransportHeader = { kind: "icmpv6", type, code: 4, rest: 0 };
  return packet6(source, destination, IPPROTO_ICMPV6, transport, encodeIpPacket(about));
}

/** `[2001:db8::1]:80`. */
function endOf(text: string): readonly [string, number] {
  const [, address, port] = /^\[(.*)\]:(\d+)$/.exec(text) ?? [];
  if (address === undefined || port === undefined) throw new Error(`not an end: ${text}`);
  return [address, Number(port)];
}
