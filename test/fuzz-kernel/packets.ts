import { crc32c } from "../../src/base/crc32c.js";
import { formatHex, put16, put32 } from "../../src/wire/bytes.js";
import { encodeFrame, type Frame, type IpHeader, NO_BYTES } from "../../src/wire/frame.js";
import {
  type IpAddress,
  MAC_BROADCAST,
  type Mac,
  ipv4,
  multicastMac,
  parseIpv4,
  parseIpv6,
  parseMac,
} from "../../src/wire/ip.js";
import { IPPROTO_FRAGMENT } from "../../src/wire/ipv6-extension.js";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../src/wire/tcp.js";
import type { DraftProbe } from "./draft.js";
import { address6 } from "./family6.js";
import { type Network, serverPorts, subnet, virtual } from "./network.js";

/** Where a frame goes: onto a device of a namespace, to a MAC and an address. */
interface Way {
  readonly from: string;
  readonly dev: string;
  readonly link: { readonly source: Mac; readonly destination: Mac };
  readonly source: IpAddress;
  readonly destination: IpAddress;
}

/** What an IP packet carries. */
interface Content {
  readonly protocol: number;
  readonly transport?: Frame["transport"];
  readonly payload?: Uint8Array;
}

/** Frames of other protocols, to everybody and in pieces; datagrams above the MTU. They come after the lab's own probes. */
export function makePackets(network: Network, six: boolean): readonly DraftProbe[] {
  const { choose } = network;
  return choose
    .times(2, 4, () => (choose.chance(0.2) ? [big(network)] : frames(network, six)))
    .flat();
}

/** A datagram that is cut into pieces. */
function big(network: Network): DraftProbe {
  const { choose } = network;
  const senders = network.namespaces.filter((ns) => network.of(ns).length > 0);
  const from = choose.one(senders);
  const to = choose.one(network.addresses.filter(({ ns }) => ns !== from)).address;
  const data = "x".repeat(choose.one([1473, 2000, 3500]));
  return {
    from,
    to: choose.chance(0.85) ? to : choose.one(virtual),
    proto: choose.chance(0.85) ? "udp" : "icmp",
    port: choose.one(serverPorts),
    sport: choose.between(41_000, 41_099),
    data,
  };
}

function frames(network: Network, six: boolean): readonly DraftProbe[] {
  const { choose } = network;
  const way = wayFrom(network, six);
  if (way === undefined) return [];
  const content = contentFor(network, six);
  const header = headerFor(network, way, content.protocol);
  const { transport, payload = NO_BYTES } = content;
  const link = { ...way.link, etherType: six ? 0x86dd : 0x0800 };
  const frame: Frame = { link, network: header, transport, payload };
  return (choose.chance(0.25) ? inPieces(network, frame) : [frame]).map((one) => ({
    from: way.from,
    to: "0.0.0.0",
    proto: "udp",
    port: 0,
    sport: 0,
    dev: way.dev,
    frame: formatHex(encodeFrame(one)),
  }));
}

/** From a device with neighbours to one of them or through it, or to everybody on the link. */
function wayFrom(network: Network, six: boolean): Way | undefined {
  const { choose } = network;
  const from = choose.one(network.namespaces.filter((ns) => network.neighbours(ns).length > 0));
  const friend = choose.one(network.neighbours(from));
  const source = macOf(network, from, friend.via);
  const direct = macOf(network, friend.ns, friend.dev);
  const own = network.of(from).find(({ dev }) => dev === friend.via);
  if (source === undefined || direct === undefined || own === undefined) return undefined;
  const other = choose.one(network.addresses.filter(({ ns }) => ns !== from)).address;
  const said = choose.chance(0.9) ? own.address : choose.one(["192.0.2.7", friend.address]);
  const common = { from, dev: friend.via, source: read(said, six) };
  if (choose.chance(0.25)) return { ...common, ...toAll(network, friend.address, source, six) };
  const to = choose.make([
    () => friend.address,
    () => other,
    () => other,
    () => choose.one(virtual),
  ]);
  // Now and then in a frame that is for everybody, or for somebody else.
  const destination = choose.chance(0.9)
    ? direct
    : choose.one([MAC_BROADCAST, parseMac("02:00:00:00:77:77") ?? MAC_BROADCAST]);
  return { ...common, link: { source, destination }, destination: read(to, six) };
}

/** Broadcast and multicast of the link. */
function toAll(
  network: Network,
  near: string,
  source: Mac,
  six: boolean,
): Pick<Way, "link" | "destination"> {
  const { choose } = network;
  if (six) {
    const group = choose.one(["ff02::1", "ff02::2", "ff05::9", "ff0e::77"]);
    const low = Number.parseInt(group.slice(group.lastIndexOf(":") + 1), 16);
    const destination = parseMac(`33:33:00:00:00:${low.toString(16).padStart(2, "0")}`);
    return {
      link: { source, destination: destination ?? MAC_BROADCAST },
      destination: read6(group),
    };
  }
  const address = choose.one([
    "255.255.255.255",
    `${subnet(near)}.255`,
    `${subnet(near)}.0`,
    "224.0.0.1",
    "224.0.0.9",
    "239.1.2.3",
  ]);
  const destination = parseIpv4(address) ?? ipv4(0);
  const isGroup = /^2[23]\d\./.test(address);
  return {
    link: { source, destination: isGroup ? multicastMac(destination) : MAC_BROADCAST },
    destination,
  };
}

function macOf(network: Network, ns: string, dev: string): Mac | undefined {
  const bridge = network.bridges.findIndex((one) => one.ns === ns && one.dev === dev);
  if (bridge >= 0) return parseMac(`02:00:00:00:ff:${String(bridge + 10)}`);
  const link = network.links.findIndex((ends) => ends.includes(`${ns}:${dev}`));
  const end = network.links[link]?.indexOf(`${ns}:${dev}`) ?? -1;
  return link < 0 || end < 0 ? undefined : parseMac(linkMac(link, end));
}

/** As labs give ends of links theirs. */
function linkMac(link: number, end: number): string {
  const text = (value: number): string => value.toString(16).padStart(2, "0");
  return `02:00:00:00:${text(link + 1)}:${text(end + 1)}`;
}

function read(address: string, six: boolean): IpAddress {
  return six ? read6(address6(address)) : (parseIpv4(address) ?? ipv4(0));
}

function read6(text: string): IpAddress {
  const address = parseIpv6(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

function headerFor(network: Network, { source, destination }: Way, protocol: number): IpHeader {
  const { choose } = network;
  const ttl = choose.one([64, 64, 64, 64, 2, 1]);
  const tos = choose.one([0, 0, 0x10, 0xb9]);
  if (typeof source === "bigint" && typeof destination === "bigint")
    return {
      kind: "ipv6",
      trafficClass: tos,
      flowLabel: 0,
      hopLimit: ttl,
      protocol,
      source,
      destination,
      extensions: [],
    };
  if (typeof source === "bigint" || typeof destination === "bigint")
    throw new Error("addresses of two families");
  return {
    kind: "ipv4",
    tos,
    id: choose.between(1, 60_000),
    dontFragment: choose.chance(0.3),
    moreFragments: false,
    fragmentOffset: 0,
    ttl,
    protocol,
    source,
    destination,
    options: NO_BYTES,
  };
}

/** Two or three pieces of a packet: in order, the last one first, one of them lost, or one of them twice. */
function inPieces(network: Network, frame: Frame): readonly Frame[] {
  const { choose } = network;
  const { network: header, link } = frame;
  if (header?.kind !== "ipv4" && header?.kind !== "ipv6") return [frame];
  const whole = encodeFrame(frame).subarray(14 + (header.kind === "ipv4" ? 20 : 40));
  const size = 8 * choose.between(1, 2);
  const pieces: Frame[] = [];
  const id = choose.between(1, 60_000);
  for (let at = 0; at < whole.length && pieces.length < 3; at += size) {
    const isLast = pieces.length === 2 || at + size >= whole.length;
    const payload = whole.slice(at, isLast ? whole.length : at + size);
    const cut = { fragmentOffset: at, moreFragments: !isLast };
    const piece: IpHeader =
      header.kind === "ipv4"
        ? { ...header, ...cut, dontFragment: false }
        : { ...header, extensions: [{ kind: "fragment", type: IPPROTO_FRAGMENT, ...cut, id }] };
    pieces.push({ link, network: piece, transport: undefined, payload });
  }
  return choose.make([
    () => pieces,
    () => pieces,
    () => pieces.toReversed(),
    () => pieces.slice(1),
    () => pieces.slice(0, -1),
    () => [...pieces.slice(0, 1), ...pieces],
  ]);
}

function contentFor(network: Network, six: boolean): Content {
  const { choose } = network;
  const sport = choose.between(41_000, 41_099);
  const dport = choose.one(serverPorts);
  const text = new TextEncoder().encode(choose.one(["hello", "hello, world, and more", ""]));
  const icmp = six ? 58 : 1;
  const { make, one } = {
    make: choose.make.bind(choose),
    one: <T>(list: readonly T[]): T => choose.one(list),
  };
  const message = (type: number, code = 0): Content => ({
    protocol: icmp,
    transport: { kind: six ? "icmpv6" : "icmp", type, code, rest: 0x0007_0001 },
    payload: text,
  });
  const datagram = (wrong: boolean): Content => ({
    protocol: 17,
    transport: {
      kind: "udp",
      sourcePort: sport,
      destinationPort: dport,
      ...(wrong ? { checksumError: 7 } : {}),
    },
    payload: text,
  });
  return make<Content>([
    () => datagram(false),
    () => datagram(false),
    () => datagram(choose.chance(0.5)),
    () => ({
      protocol: 6,
      transport: {
        kind: "tcp",
        sourcePort: sport,
        destinationPort: dport,
        sequence: 1000,
        acknowledgment: 0,
        flags: one([TCP_ACK, TCP_RST, TCP_FIN, TCP_SYN | TCP_FIN, 0, TCP_SYN | TCP_ACK]),
        window: 1000,
        urgent: 0,
        options: NO_BYTES,
      },
    }),
    () => message(six ? one([128, 129]) : one([8, 0])),
    () => message(six ? one([139, 200, 100]) : one([13, 15, 17, 40])),
    () => ({ protocol: 132, payload: sctp(sport, dport, one([1, 1, 6, 11])) }),
    () => ({ protocol: 47, payload: Uint8Array.of(0, 0, 8, 0, 0, 0, 0, 0) }),
    () => ({ protocol: 114, payload: NO_BYTES }),
    () => ({ protocol: 50, payload: Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 1, 9, 9, 9, 9) }),
    () => ({ protocol: one([99, 253]), payload: text }),
  ]);
}

/** An INIT, ABORT or COOKIE ACK. */
function sctp(source: number, destination: number, chunk: number): Uint8Array {
  const bytes = new Uint8Array(12 + (chunk === 1 ? 20 : 4));
  put16(bytes, 0, source);
  put16(bytes, 2, destination);
  put32(bytes, 4, chunk === 1 ? 0 : 5);
  bytes[12] = chunk;
  put16(bytes, 14, bytes.length - 12);
  if (chunk === 1) {
    put32(bytes, 16, 77);
    put32(bytes, 20, 65_536);
    put16(bytes, 24, 1);
    put16(bytes, 26, 1);
    put32(bytes, 28, 1000);
  }
  const crc = crc32c(bytes);
  // The checksum goes with its lowest byte first.
  for (let at = 0; at < 4; at++) bytes[8 + at] = (crc >>> (8 * at)) & 0xff;
  return bytes;
}
